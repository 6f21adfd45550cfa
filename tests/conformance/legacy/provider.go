// A provider of the original protocol, modeled on its Go programs: `input` or `output SINK`.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

type command struct {
	Command string `json:"command"`
	Config  struct {
		Rows  int  `json:"rows"`
		Fails bool `json:"fails"`
	} `json:"config"`
}

func main() {
	if os.Args[1] == "input" {
		input()
		return
	}
	output(os.Args[2])
}

func input() {
	raw, _ := io.ReadAll(os.Stdin)
	var asked command
	if err := json.Unmarshal(raw, &asked); err != nil {
		fmt.Printf(`{"status":"error","message":%q}`+"\n", err.Error())
		os.Exit(1)
	}
	fmt.Println("2026/01/01 00:00:00 Starting ingester") // its log goes to stdout
	for n := 0; n < asked.Config.Rows; n++ {
		fmt.Printf(`{"data":{"n":%d},"metadata":{"TableName":"t","OperationID":2}}`+"\n", n)
	}
}

func output(sink string) {
	reader := bufio.NewReader(os.Stdin)
	line, _ := reader.ReadBytes('\n')
	var asked command
	if err := json.Unmarshal(line, &asked); err != nil {
		fmt.Printf(`{"status":"error","message":%q}`+"\n", err.Error())
		os.Exit(1)
	}
	fmt.Println(`{"status":"ready"}`)
	if asked.Command != "run" {
		status, code := "Success", 0
		if asked.Config.Fails {
			status, code = "Failed", 1
		}
		fmt.Printf(`{"status":%q,"resources":[{"name":"orders","type":"queue"}],"metadata":{},"message":"quota exceeded"}`+"\n", status)
		os.Exit(code)
	}
	file, err := os.OpenFile(sink, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer file.Close()
	if _, err := io.Copy(file, reader); err != nil {
		os.Exit(1)
	}
}
