// send HOST TOKEN story|COUNT: sends events with posthog-go until its standard input ends, and
// prints how many the SDK reported as lost.
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/posthog/posthog-go"
)

type silent struct{}

func (silent) Debugf(string, ...interface{}) {}
func (silent) Logf(string, ...interface{})   {}
func (silent) Warnf(string, ...interface{})  {}
func (silent) Errorf(string, ...interface{}) {}

// outcomes counts the events that the SDK reports as lost.
type outcomes struct{ lost atomic.Int32 }

func (*outcomes) Success(posthog.APIMessage) {}

func (all *outcomes) Failure(posthog.APIMessage, error) { all.lost.Add(1) }

func main() {
	host, token, what := os.Args[1], os.Args[2], os.Args[3]
	messages := story()
	if what != "story" {
		messages = burst(what)
	}
	all := &outcomes{}
	client, err := posthog.NewWithConfig(token, posthog.Config{
		Endpoint:               host,
		Logger:                 silent{},
		Callback:               all,
		BatchSize:              len(messages),
		Interval:               time.Minute,
		DefaultEventProperties: posthog.NewProperties().Set("plan", "free"),
	})
	if err != nil {
		panic(err)
	}
	for _, message := range messages {
		if err := client.Enqueue(message); err != nil {
			panic(err)
		}
	}
	io.Copy(io.Discard, os.Stdin)
	client.Close()
	fmt.Printf("{\"lost\":%d}\n", all.lost.Load())
}

func story() []posthog.Message {
	seen := func(host string) posthog.Message {
		properties := posthog.NewProperties().Set("$host", host).Set("n", 1.5)
		return posthog.Capture{DistinctId: "ada", Event: "seen", Properties: properties}
	}
	return []posthog.Message{
		seen("www.example.com"),
		seen("app.example.com"),
		posthog.Capture{
			DistinctId: "ada",
			Event:      "grouped",
			Groups:     posthog.NewGroups().Set("company", "c1"),
		},
		posthog.Identify{
			DistinctId: "ada",
			Properties: posthog.NewProperties().Set("email", "ada@example.com"),
		},
		posthog.Alias{DistinctId: "ada", Alias: "countess"},
		posthog.GroupIdentify{
			Type:       "company",
			Key:        "c1",
			Properties: posthog.NewProperties().Set("size", 3),
		},
	}
}

func burst(what string) []posthog.Message {
	count, err := strconv.Atoi(what)
	if err != nil {
		panic(err)
	}
	messages := []posthog.Message{}
	for index := range count {
		event := fmt.Sprintf("seen %d", index)
		messages = append(messages, posthog.Capture{DistinctId: "ada", Event: event})
	}
	return messages
}
