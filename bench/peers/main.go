// The work of the benchmark by hand in Go: net/http both ways.   peer-go PORT FUNCTIONS_PORT
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
)

var names = []string{"a", "b", "c"}

var client = &http.Client{Transport: &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024}}

func call(name string, body []byte) ([]byte, error) {
	response, err := client.Post("http://127.0.0.1:"+os.Args[2]+"/"+name, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

func answer(w http.ResponseWriter, body []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("content-type", "application/json")
	w.Write(body)
}

func sequence(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	for _, name := range names {
		if err == nil {
			body, err = call(name, body)
		}
	}
	answer(w, body, err)
}

func parallel(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	values, failures := make([]any, len(names)), make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Add(1)
		go func(i int, name string) {
			defer group.Done()
			part, err := call(name, body)
			if err == nil {
				err = json.Unmarshal(part, &values[i])
			}
			failures[i] = err
		}(i, name)
	}
	group.Wait()
	merged := map[string]any{}
	for i, name := range names {
		if failures[i] != nil {
			answer(w, nil, failures[i])
			return
		}
		merged[name] = values[i]
	}
	out, err := json.Marshal(merged)
	answer(w, out, err)
}

func main() {
	http.HandleFunc("/seq", sequence)
	http.HandleFunc("/par", parallel)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
