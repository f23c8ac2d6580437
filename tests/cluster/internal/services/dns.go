package services

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"weir/tests/cluster/internal/network"
	"weir/tests/cluster/internal/relay"
)

const (
	// maxQuery bounds one query in bytes; ours fit the classic limit.
	maxQuery = 512
	// answerTTL is in seconds: short, because services come and go.
	answerTTL = 1
	// tcpIdle is how long a client may keep a connection without asking.
	tcpIdle = 5 * time.Second
)

// serveDNS answers on UDP and TCP until the context ends.
func serveDNS(ctx context.Context, t *table, log *slog.Logger) error {
	address := net.JoinHostPort(network.DNSAddress, "53")
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return fmt.Errorf("cannot serve names: %w", err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		packets.Close()
		return fmt.Errorf("cannot serve names: %w", err)
	}
	context.AfterFunc(ctx, func() {
		packets.Close()
		listener.Close()
	})
	go func() {
		buffer := make([]byte, maxQuery)
		for {
			n, client, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply, err := t.answer(buffer[:n]); err == nil {
				_, _ = packets.WriteTo(reply, client)
			} else {
				log.Warn("cannot answer a query", "error", err)
			}
		}
	}()
	go relay.Accept(listener, t.converse)
	return nil
}

// converse answers queries with a length in front, as TCP has them.
func (t *table) converse(conn net.Conn) {
	defer conn.Close()
	for {
		if err := conn.SetDeadline(time.Now().Add(tcpIdle)); err != nil {
			return
		}
		var size uint16
		if err := binary.Read(conn, binary.BigEndian, &size); err != nil || size > maxQuery {
			return
		}
		query := make([]byte, size)
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		reply, err := t.answer(query)
		if err != nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

func (t *table) answer(query []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil {
		return nil, err
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(strings.TrimSuffix(question.Name.String(), "."))
	addresses, known := t.lookup(name)
	reply := dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true}
	if !known {
		reply.RCode = dnsmessage.RCodeNameError
	}
	builder := dnsmessage.NewBuilder(nil, reply)
	builder.EnableCompression()
	if err := builder.StartQuestions(); err != nil {
		return nil, err
	}
	if err := builder.Question(question); err != nil {
		return nil, err
	}
	if err := builder.StartAnswers(); err != nil {
		return nil, err
	}
	if question.Type == dnsmessage.TypeA {
		for _, address := range addresses {
			resource := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: answerTTL}
			if err := builder.AResource(resource, dnsmessage.AResource{A: address.As4()}); err != nil {
				return nil, err
			}
		}
	}
	return builder.Finish()
}
