// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package web reads files from servers of HTTP (RFC 9110), as they are needed: what is
// read in order comes over one connection, and is not kept.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Limits.
const (
	// headSize is how much of a file's beginning is kept: who wants to know what it is
	// looks there, several times.
	headSize = 64 << 10
	// skipMost is how much is read to get over a gap, rather than asked for anew.
	skipMost = 256 << 10
	// tries is how often a piece is asked for when the connection breaks.
	tries = 3
	// patience is how long a server may send nothing, and how long a connection stays
	// when nobody reads.
	patience = 30 * time.Second
)

// File is a file on a server. It implements [io.ReaderAt], and is safe for concurrent
// use, which takes turns.
type File struct {
	c    *http.Client
	url  string
	size int64
	tag  string // what the server says of this version of it

	mu   sync.Mutex
	head []byte // the beginning, as far as it was read
	body io.ReadCloser
	at   int64 // where body goes on
	idle *time.Timer
}

// Errors of files that do not stay what they were.
var (
	errChanged = errors.New("it has changed on the server while it was read: try again")
	errRanges  = errors.New("its server does not give parts of files: use another one, or fetch it first")
)

// Open asks for a file: it exists, and its size is known. Errors go on from its name.
func Open(c *http.Client, url string) (*File, error) {
	f := &File{c: c, url: url}
	resp, err := f.get(0)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength < 0 {
		f.close()
		return nil, errors.New("has no size: its server does not say how long it is")
	}
	f.size, f.tag = resp.ContentLength, tag(resp)
	return f, nil
}

// Size is in bytes.
func (f *File) Size() int64 { return f.size }

// tag is what tells versions of a file apart, as If-Range takes it ("If-Range"): a strong
// tag of the entity, or else when it was changed.
func tag(r *http.Response) string {
	if t := r.Header.Get("ETag"); t != "" && t[0] == '"' {
		return t
	}
	return r.Header.Get("Last-Modified")
}

// get asks for the file from a byte on, and makes the answer what is read.
func (f *File) get(from int64) (*http.Response, error) {
	f.close()
	ctx, cancel := context.WithCancel(context.Background())
	f.idle = time.AfterFunc(patience, cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		if f.tag != "" {
			req.Header.Set("If-Range", f.tag)
		}
	}
	resp, err := f.c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot be fetched: %w", silent(ctx, err))
	}
	if err := f.accept(resp, from); err != nil {
		resp.Body.Close()
		return nil, err
	}
	f.body, f.at = resp.Body, from
	return resp, nil
}

// silent is err, or that the server has sent nothing.
func silent(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the server has sent nothing for %v", patience)
	}
	return err
}

// accept checks what the server answers.
func (f *File) accept(r *http.Response, from int64) error {
	switch {
	case r.StatusCode == http.StatusNotFound || r.StatusCode == http.StatusGone:
		return errors.New("is not on its server")
	case r.StatusCode == http.StatusOK && from == 0:
		if f.size > 0 && (r.ContentLength != f.size || tag(r) != f.tag) {
			return errChanged
		}
		return nil
	case r.StatusCode == http.StatusOK && f.tag != "" && tag(r) != f.tag, r.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return errChanged
	case r.StatusCode == http.StatusOK:
		return errRanges
	case r.StatusCode != http.StatusPartialContent:
		return fmt.Errorf("is refused by its server: %d %s", r.StatusCode, http.StatusText(r.StatusCode))
	}
	var first, last, size int64
	if n, _ := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size); n != 3 || first != from || last != size-1 {
		return errRanges
	}
	if size != f.size {
		return errChanged
	}
	return nil
}

// close ends the connection.
func (f *File) close() {
	if f.body != nil {
		f.body.Close()
		f.body = nil
	}
	if f.idle != nil {
		f.idle.Stop()
	}
}
