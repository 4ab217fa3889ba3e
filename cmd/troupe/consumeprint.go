package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/troupe-mq/troupe/codec"
)

// printer prints one record, which it does not keep.
type printer func(codec.Partition, *codec.Record) error

func newPrinter(out *bufio.Writer, topic codec.Topic, output, format string) (printer, error) {
	switch {
	case format != "":
		return templatePrinter(out, topic, format)
	case output == "json":
		return jsonPrinter(out, topic), nil
	}
	return func(_ codec.Partition, r *codec.Record) error {
		if _, err := out.Write(r.Value); err != nil {
			return err
		}
		return out.WriteByte('\n')
	}, nil
}

// templated is a record as --format sees it. Null is empty.
type templated struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp int64 // ms since 1970
	Key       string
	Value     string
	Headers   map[string]string
}

func templatePrinter(out *bufio.Writer, topic codec.Topic, format string) (printer, error) {
	t, err := template.New("format").Option("missingkey=zero").Parse(format)
	if err == nil {
		// A field that does not exist shows only when it is used; other
		// trouble may be that of a record which holds nothing.
		if err = t.Execute(io.Discard, templated{}); err != nil && !strings.Contains(err.Error(), "can't evaluate field") {
			err = nil
		}
	}
	if err != nil {
		return nil, usagef("--format: %w: want a Go template over Topic, Partition, Offset, Timestamp, Key, Value and Headers", err)
	}
	return func(p codec.Partition, r *codec.Record) error {
		headers := make(map[string]string, len(r.Headers))
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		err := t.Execute(out, templated{string(topic), int32(p), int64(r.Offset), int64(r.Timestamp), string(r.Key), string(r.Value), headers})
		if err != nil {
			return fmt.Errorf("--format at offset %d of partition %d: %w", r.Offset, p, err)
		}
		return out.WriteByte('\n')
	}, nil
}

// consumed is a record as JSON shows it. Of headers with the same key the
// last is shown.
type consumed struct {
	Topic     codec.Topic     `json:"topic"`
	Partition codec.Partition `json:"partition"`
	Offset    codec.Offset    `json:"offset"`
	Timestamp codec.Millis    `json:"timestamp"`
	Key       text            `json:"key"`
	Value     text            `json:"value"`
	Headers   map[string]text `json:"headers"`
}

// text is bytes as JSON shows them: as text when they are UTF-8, else as
// {"base64": …}; null when there are none.
type text []byte

// MarshalJSON implements json.Marshaler.
func (t text) MarshalJSON() ([]byte, error) {
	if t == nil {
		return []byte("null"), nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if utf8.Valid(t) {
		err := enc.Encode(string(t))
		return b.Bytes(), err
	}
	err := enc.Encode(map[string][]byte{"base64": t})
	return b.Bytes(), err
}

func jsonPrinter(out *bufio.Writer, topic codec.Topic) printer {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	headers := map[string]text{}
	return func(p codec.Partition, r *codec.Record) error {
		clear(headers)
		for _, h := range r.Headers {
			headers[h.Key] = h.Value
		}
		return enc.Encode(consumed{topic, p, r.Offset, r.Timestamp, r.Key, r.Value, headers})
	}
}
