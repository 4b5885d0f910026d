// A subscriber with a cache of access: writes a line for each thing that the cache must forget.
//
// See docs/events.md. NATS_URL=nats://subscriber:...@host:4222 go run . STATE_FILE
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const recentIDsMax = 1_000

type body struct {
	AccountID      string `json:"accountId"`
	OrganizationID string `json:"organizationId"`
	ProjectID      string `json:"projectId"`
	KeyID          string `json:"keyId"`
	Fingerprint    string `json:"fingerprint"`
	NewFingerprint string `json:"newFingerprint"`
}

type position struct {
	Incarnation string `json:"incarnation"`
	Sequence    uint64 `json:"sequence"`
}

// What a subscriber keeps beside its cache: where it is in each log, and which events it has had.
type state struct {
	Positions map[string]position `json:"positions"`
	RecentIDs []string            `json:"recentIds"`
}

func member(b body) []string       { return []string{"member " + b.AccountID + " " + b.OrganizationID} }
func organization(b body) []string { return []string{"organization " + b.OrganizationID} }
func project(b body) []string      { return []string{"project " + b.ProjectID} }
func key(b body) []string          { return []string{"key " + b.KeyID} }
func nothing(body) []string        { return nil }

func token(b body) (ended []string) {
	for _, fingerprint := range []string{b.Fingerprint, b.NewFingerprint} {
		if fingerprint != "" {
			ended = append(ended, "token "+fingerprint)
		}
	}
	return ended
}

// What each event ends, by service and name. An event that is not here ends all of its service.
var ends = map[string]func(body) []string{
	"org.member_added":         member,
	"org.member_updated":       member,
	"org.member_removed":       member,
	"org.organization_created": organization,
	"org.organization_updated": organization,
	"org.organization_deleted": organization,
	"org.account_created":      nothing,
	"org.account_updated":      nothing,
	"org.invite_created":       nothing,
	"org.invite_deleted":       nothing,
	"org.invite_accepted":      nothing,
	"project.created":          project,
	"project.updated":          project,
	"project.moved":            project,
	"project.deleted":          project,
	"project.undeleted":        project,
	"project.held":             project,
	"project.released":         project,
	"project.migrated":         project,
	"project.events_deleted":   project,
	"project.move_finalized":   nothing,
	"project.slots_changed":    nothing,
	"token.created":            token,
	"token.revoked":            token,
	"token.key_created":        key,
	"token.key_updated":        key,
	"token.key_revoked":        key,
}

// apply brings the state to an event, and returns what the cache must forget.
func (s *state) apply(headers nats.Header, data []byte) ([]string, error) {
	id := headers.Get("ce-id")
	kind := strings.Split(headers.Get("ce-type"), ".")
	if len(kind) != 5 {
		return nil, fmt.Errorf("%q is no type of an event", headers.Get("ce-type"))
	}
	service, incarnation := kind[2], headers.Get("ce-incarnation")
	sequence, err := strconv.ParseUint(headers.Get("ce-sequence"), 10, 64)
	if err != nil {
		return nil, err
	}
	last, isKnown := s.Positions[service]
	// A log of before a restored backup.
	if isKnown && incarnation < last.Incarnation {
		return nil, nil
	}
	isContinued := !isKnown || incarnation == last.Incarnation
	// After a restored backup its events come again.
	if !isContinued {
		s.RecentIDs = nil
	}
	if slices.Contains(s.RecentIDs, id) {
		return nil, nil
	}
	isGap := isKnown && isContinued && sequence > last.Sequence+1
	if !isKnown || !isContinued || sequence > last.Sequence {
		s.Positions[service] = position{incarnation, sequence}
	}
	s.RecentIDs = append(s.RecentIDs, id)
	s.RecentIDs = s.RecentIDs[max(0, len(s.RecentIDs)-recentIDsMax):]
	end := ends[service+"."+kind[3]]
	if service == "billing" {
		end = nothing
	}
	if isGap || !isContinued || end == nil {
		return []string{"all " + service}, nil
	}
	var parsed body
	if err := json.Unmarshal(data, &parsed); err != nil {
		return nil, err
	}
	return end(parsed), nil
}

func readState(file string) (*state, error) {
	read := &state{Positions: map[string]position{}}
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return read, nil
	}
	if err != nil {
		return nil, err
	}
	return read, json.Unmarshal(data, read)
}

// write replaces the file in one step: a process that is killed leaves the state before or after.
func (s *state) write(file string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func run(ctx context.Context, stateFile string, server *url.URL) error {
	password, _ := server.User.Password()
	connection, err := nats.Connect(
		"nats://"+server.Host,
		nats.UserInfo(server.User.Username(), password),
		// The user may subscribe to no other inbox.
		nats.CustomInboxPrefix("_INBOX."+server.User.Username()),
		nats.MaxReconnects(-1),
	)
	if err != nil {
		return err
	}
	defer connection.Drain()
	client, err := jetstream.New(connection)
	if err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// The same request finds the consumer that an earlier run has made, and where that has stopped.
	consumer, err := client.CreateConsumer(starting, "SILO", jetstream.ConsumerConfig{
		Durable:       "access-cache-go",
		FilterSubject: "silo.v1.>",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		MaxAckPending: 100,
	})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(100))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, messages.Stop)
	current, err := readState(stateFile)
	if err != nil {
		return err
	}
	for {
		message, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		ended, err := current.apply(message.Headers(), message.Data())
		if err != nil {
			return err
		}
		for _, line := range ended {
			fmt.Println("forget " + line)
		}
		// Only then: what is not acknowledged comes again.
		if err := current.write(stateFile); err != nil {
			return err
		}
		if err := message.Ack(); err != nil {
			return err
		}
	}
}

func main() {
	server, err := url.Parse(os.Getenv("NATS_URL"))
	if len(os.Args) != 2 || err != nil || server.Host == "" {
		log.Fatal("Usage: NATS_URL=nats://subscriber:PASSWORD@HOST:4222 go run . STATE_FILE")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], server); err != nil {
		log.Fatal(err)
	}
}
