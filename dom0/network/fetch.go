// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// silence is how long a server may send nothing.
const silence = time.Minute

var errSilence = fmt.Errorf("the server has sent nothing for %v", silence)

// Get opens what is at an address of http or https. size is -1 where the server does not
// say. Errors are part of a sentence.
func (n *Network) Get(ctx context.Context, address string) (body io.ReadCloser, size int64, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, 0, fmt.Errorf("%q is no address such as http://10.0.0.1/vmlinuz", address)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, 0, err
	}
	r, err := n.Client().Do(q)
	if err != nil {
		cancel(nil)
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, 0, err
	}
	if r.StatusCode != http.StatusOK {
		r.Body.Close()
		cancel(nil)
		return nil, 0, fmt.Errorf("the server says %d %s", r.StatusCode, http.StatusText(r.StatusCode))
	}
	p := &patient{r: r.Body, cancel: cancel, ctx: ctx}
	p.timer = time.AfterFunc(silence, func() { cancel(errSilence) })
	return p, r.ContentLength, nil
}

// patient is a body whose reading ends when nothing comes.
type patient struct {
	r      io.ReadCloser
	ctx    context.Context
	cancel func(error)
	timer  *time.Timer
}

func (p *patient) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if n > 0 {
		p.timer.Reset(silence)
	}
	if err != nil && err != io.EOF {
		if c := context.Cause(p.ctx); c != nil {
			err = c
		}
	}
	return n, err
}

func (p *patient) Close() error {
	p.timer.Stop()
	err := p.r.Close()
	p.cancel(nil)
	return err
}
