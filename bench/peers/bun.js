// The work of the benchmark by hand in Bun: Bun.serve + fetch.   bun bun.js PORT FUNCTIONS_PORT
const [port, functions] = process.argv.slice(2).map(Number);
const names = ["a", "b", "c"];
const urls = names.map((name) => `http://127.0.0.1:${functions}/${name}`);
const headers = { "content-type": "application/json" };

const call = (url, body) => fetch(url, { method: "POST", body, headers });

async function sequence(body) {
  for (const url of urls) body = await (await call(url, body)).text();
  return new Response(body, { headers });
}

async function parallel(body) {
  const answers = await Promise.all(urls.map(async (url) => (await call(url, body)).json()));
  return Response.json(Object.fromEntries(names.map((name, i) => [name, answers[i]])));
}

Bun.serve({
  port,
  hostname: "127.0.0.1",
  async fetch(request) {
    const body = await request.text();
    return new URL(request.url).pathname === "/par" ? parallel(body) : sequence(body);
  },
});
