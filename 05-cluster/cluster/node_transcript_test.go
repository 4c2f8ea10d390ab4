package cluster

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// The messages must be those of Node's own primary and its worker, line by line.
func TestNodeTranscript(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		port := freePort(t)
		h, trace := startTraced(t, Settings{Policy: policy}, script("listen.js", []map[string]any{{"port": port}})...)
		workers, address := h.fork(1)
		require.Equal(t, "server 0", get(t, "tcp", address))
		if policy == RoundRobin {
			h.awaitLine(`receive .*"accepted":true.*`) // the client may have the answer first
		}
		workers[0].Leave()
		h.exitOf(workers[0])
		want := strings.ReplaceAll(map[Policy]string{RoundRobin: wireRoundRobin, None: wireNone}[policy], "8000", strconv.Itoa(port))
		require.Empty(t, cmp.Diff(parseLines(t, want), parseLines(t, trace())))
	})
}

// UDP sockets must be shared under every policy.
func TestNodeTranscriptUDP(t *testing.T) {
	eachNodePolicy(t, func(t *testing.T, policy Policy) {
		port := freePort(t)
		h, trace := startTraced(t, Settings{Policy: policy}, script("udp.js", []map[string]any{
			{"type": "udp4", "port": port, "address": "127.0.0.1"},
		})...)
		workers, _ := h.fork(1)
		workers[0].Leave()
		h.exitOf(workers[0])
		want := strings.ReplaceAll(wireUDP, "8000", strconv.Itoa(port))
		require.Empty(t, cmp.Diff(parseLines(t, want), parseLines(t, trace())))
	})
}

// What Node's primary and its worker send, with * at a line with a descriptor.
const (
	wireRoundRobin = `
receive {"cmd":"NODE_CLUSTER","act":"online","seq":0}
receive {"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":8000,"addressType":4,"backlog":0,"seq":1}
send {"cmd":"NODE_CLUSTER","errno":null,"key":"null:8000:4:undefined:0","ack":1,"data":null,"sockname":{"address":"::","family":"IPv6","port":8000},"seq":0}
receive {"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":null,"port":8000,"addressType":4,"backlog":0,"seq":2}
send* {"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","act":"newconn","key":"null:8000:4:undefined:0","seq":1}}
receive {"cmd":"NODE_HANDLE_ACK"}
receive {"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":3}
send {"cmd":"NODE_CLUSTER","act":"disconnect","seq":2}
receive {"cmd":"NODE_CLUSTER","act":"close","key":"null:8000:4:undefined:0","seq":4}
`
	wireNone = `
receive {"cmd":"NODE_CLUSTER","act":"online","seq":0}
receive {"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":8000,"addressType":4,"backlog":0,"seq":1}
send* {"cmd":"NODE_HANDLE","type":"net.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"null:8000:4:undefined:0","ack":1,"data":null,"seq":0}}
receive {"cmd":"NODE_HANDLE_ACK"}
receive {"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":null,"port":8000,"addressType":4,"backlog":0,"seq":2}
send {"cmd":"NODE_CLUSTER","act":"disconnect","seq":1}
receive {"cmd":"NODE_CLUSTER","act":"close","key":"null:8000:4:undefined:0","seq":3}
`
	wireUDP = `
receive {"cmd":"NODE_CLUSTER","act":"online","seq":0}
receive {"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":"127.0.0.1","port":8000,"addressType":"udp4","fd":-1,"flags":0,"seq":1}
send* {"cmd":"NODE_HANDLE","type":"dgram.Native","msg":{"cmd":"NODE_CLUSTER","errno":0,"key":"127.0.0.1:8000:udp4:-1:0","ack":1,"data":null,"seq":0}}
receive {"cmd":"NODE_HANDLE_ACK"}
receive {"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":"127.0.0.1","port":8000,"addressType":"udp4","fd":-1,"flags":0,"seq":2}
send {"cmd":"NODE_CLUSTER","act":"disconnect","seq":1}
receive {"cmd":"NODE_CLUSTER","act":"close","key":"127.0.0.1:8000:udp4:-1:0","seq":3}
`
)

// wireLine is a line on a channel.
type wireLine struct {
	What    string
	Message map[string]any
}

func parseLines(t *testing.T, text string) (lines []wireLine) {
	t.Helper()
	for line := range strings.Lines(strings.TrimSpace(text)) {
		what, message, _ := strings.Cut(line, " ")
		l := wireLine{What: what}
		require.NoError(t, json.Unmarshal([]byte(message), &l.Message))
		delete(l.Message, "within") // only our primary sends it
		if l.Message["flags"] == 0.0 {
			delete(l.Message, "flags") // from Node 22 on, also with TCP
		}
		lines = append(lines, l)
	}
	return lines
}
