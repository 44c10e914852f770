"""How functions are reached. A connector knows addresses and answers; it classifies outcomes and decides nothing."""
