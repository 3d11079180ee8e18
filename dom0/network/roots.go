// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package network

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// publicRoots are the certificates by which servers are believed: those of Mozilla's
// program. They are read when somebody wants them first, not when the machine starts.
var publicRoots = sync.OnceValue(func() *x509.CertPool {
	p := x509.NewCertPool()
	for r := range bundle.Roots() {
		c, err := x509.ParseCertificate(r.Certificate)
		switch {
		case err != nil: // those of a kind that we cannot read sign nothing for us
		case r.Constraint != nil:
			p.AddCertWithConstraint(c, r.Constraint)
		default:
			p.AddCert(c)
		}
	}
	return p
})

var errName = errors.New("the server's certificate is not for this name")

// dialSecure is Dial of a server that proves to be the one of that name or address.
func (n *Network) dialSecure(ctx context.Context, proto, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	c, err := n.Dial(ctx, proto, addr)
	if err != nil {
		return nil, err
	}
	roots := n.opt.Roots
	if roots == nil {
		roots = publicRoots()
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	s := tls.Client(c, &tls.Config{ServerName: host, RootCAs: roots})
	if err := s.HandshakeContext(ctx); err != nil {
		c.Close()
		if errors.As(err, new(x509.HostnameError)) { // which says what the server has made up
			err = errName
		}
		return nil, fmt.Errorf("%s: %w", host, err)
	}
	return s, nil
}
