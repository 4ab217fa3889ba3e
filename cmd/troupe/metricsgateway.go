package main

import (
	"strings"
	"unicode"

	"github.com/troupe-mq/troupe/codec"
	"github.com/troupe-mq/troupe/gateway"
	"github.com/troupe-mq/troupe/gateway/session"
)

// gateway shows what the door for clients has counted.
func (s scrape) gateway(g gateway.Stats, l session.Limits) {
	s.put("gateway_connections", float64(g.Connections))
	s.put("gateway_connections_total", float64(g.ConnectionsTotal))
	s.each("gateway_connections_refused_total", g.Refused, codec.Overloaded.String(), codec.Stopping.String())
	s.each("gateway_connections_closed_total", g.Closed, "client", "network", "slow", "cut")
	s.put("gateway_received_bytes_total", float64(g.BytesIn))
	s.put("gateway_sent_bytes_total", float64(g.BytesOut))
	s.put("gateway_pushes_total", float64(g.Pushes))
	s.put("gateway_requests_in_flight", float64(g.InFlightRequests))
	s.put("gateway_request_held_bytes", float64(g.InFlightBytes))
	s.put("gateway_answer_held_bytes", float64(g.AnswerBytes))
	s.put("gateway_subscriptions", float64(g.Subscriptions))
	s.put("gateway_subscription_credit_bytes", float64(g.CreditBytes))
	for name, n := range g.Limits {
		s.put("gateway_limit_hits_total", float64(n), snake(name))
	}
	for name, v := range limitValues(l) {
		s.put("gateway_limit", v, name)
	}
	for name, n := range g.BudgetWaits {
		s.put("gateway_throttles_total", float64(n), snake(name))
		s.put("gateway_throttle_seconds_total", g.BudgetWaiting[name].Seconds(), snake(name))
	}
	s.requests(g)
}

// each shows counts by their label; those that are always there begin at 0, so
// that their first one is an increase.
func (s scrape) each(name string, counts map[string]uint64, always ...string) {
	for _, label := range always {
		if _, there := counts[label]; !there {
			s.put(name, 0, label)
		}
	}
	for label, n := range counts {
		s.put(name, float64(n), label)
	}
}

// requests shows the operations that were asked for.
func (s scrape) requests(g gateway.Stats) {
	for op, o := range g.Ops {
		api := strings.ToLower(op.String())
		if op == gateway.OpOther {
			api = "other"
		}
		s.put("requests_total", float64(o.Requests), api)
		s.observed("request_duration_seconds", gateway.HistogramBounds(), o.Seconds.Buckets, o.Seconds.Sum, api)
		for code, n := range o.Errors {
			s.put("request_errors_total", float64(n), api, code.String())
		}
	}
}

// limitValues are the limits that are counted, in connections, requests,
// bytes or seconds.
func limitValues(l session.Limits) map[string]float64 {
	return map[string]float64{
		"connections": float64(l.Connections), "address_conns": float64(l.AddressConns), "in_flight": float64(l.InFlight),
		"bytes_in_flight_all": float64(l.BytesInFlightAll), "answer_bytes": float64(l.AnswerBytes), "frame_max": float64(l.FrameMax),
		"subscriptions": float64(l.Subscriptions), "handshake": l.Handshake.Seconds(), "idle": l.Idle.Seconds(), "frame": l.Frame.Seconds(), "write": l.Write.Seconds(),
	}
}

// snake is BytesInFlight as bytes_in_flight.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
