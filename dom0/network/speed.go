// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// speedPiece is how much is read or written at once.
const speedPiece = 64 << 10

// SpeedReceive takes so many bytes from a server that sends them, at "host:port".
func (n *Network) SpeedReceive(ctx context.Context, server string, bytes int64) error {
	return n.speed(ctx, server, func(c net.Conn, b []byte) error {
		for left := bytes; left > 0; {
			_ = c.SetDeadline(time.Now().Add(silence))
			k, err := c.Read(b[:min(left, speedPiece)])
			if left -= int64(k); err != nil && left > 0 {
				return fmt.Errorf("it ended %d bytes too early: %w", left, err)
			}
		}
		return nil
	})
}

// SpeedSend gives a server so many bytes, and waits until it has taken them all and ends
// the connection.
func (n *Network) SpeedSend(ctx context.Context, server string, bytes int64) error {
	return n.speed(ctx, server, func(c net.Conn, b []byte) error {
		for left := bytes; left > 0; {
			_ = c.SetDeadline(time.Now().Add(silence))
			k, err := c.Write(b[:min(left, speedPiece)])
			if left -= int64(k); err != nil {
				return err
			}
		}
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			if err := half.CloseWrite(); err != nil {
				return err
			}
		}
		_ = c.SetDeadline(time.Now().Add(silence))
		if _, err := c.Read(b); err != io.EOF {
			return fmt.Errorf("it does not end: %v", err)
		}
		return nil
	})
}

// speed connects to a server, and has f use the connection, with a buffer.
func (n *Network) speed(ctx context.Context, server string, f func(c net.Conn, b []byte) error) error {
	c, err := n.Dial(ctx, "tcp", server)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := f(c, make([]byte, speedPiece)); err != nil {
		return fmt.Errorf("%s: %w", server, err)
	}
	return nil
}

// SpeedPing sends so many echo requests, each after the answer to the one before.
func (n *Network) SpeedPing(ctx context.Context, to netip.Addr, size int, count int64) error {
	p, err := n.NewPinger(to, size)
	if err != nil {
		return err
	}
	defer p.Close()
	// One timer looks after all of them: an answer has from one to two times connectTime.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var answers atomic.Int64
	go func() {
		t := time.NewTicker(connectTime)
		defer t.Stop()
		for last := int64(-1); ; {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			now := answers.Load()
			if now == last {
				cancel(context.DeadlineExceeded)
			}
			last = now
		}
	}()
	for range count {
		if _, err := p.Once(ctx); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return fmt.Errorf("%v: %w", to, err)
		}
		answers.Add(1)
	}
	return nil
}
