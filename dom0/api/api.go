// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package api is the toolstack as its views see it: verbs with typed requests and
// replies, and errors of a few kinds. A view (the command line, later SSH, REST
// and the web) parses and renders, and knows nothing below this package.
//
// Requests and replies have a form in JSON: sizes are in bytes, durations in
// seconds, times as RFC 3339 has them.
package api

import (
	"time"

	"ringo/dom0/account"
	"ringo/dom0/config"
	"ringo/dom0/config/near"
	"ringo/dom0/domain"
	"ringo/dom0/files"
	"ringo/dom0/hardware"
	"ringo/dom0/hcall"
	"ringo/dom0/network"
	"ringo/dom0/network/lan"
	"ringo/dom0/problem"
	"ringo/dom0/storage"
)

// API is what verbs work on. Its fields are set before the first call; calls may
// run concurrently.
type API struct {
	Manager  *domain.Manager
	HV       *hcall.Client
	Hardware *hardware.Hardware
	Budget   *account.Budget  // of dom0's memory
	Storage  *storage.Storage // who has which disk; nil: nobody has any
	Networks *lan.Networks    // of domains; nil: there are none
	Gateway  *network.Gateway // of the network default; nil: there is none
	Hostname string
	Release  string // version of dom0
	Now      func() time.Time
	// Network, Clock and Fetched are nil where dom0 has no network.
	Network *network.Network
	Clock   *network.Clock
	Fetched *files.Fetched
}

// Error is what a call fails with; its kinds are those of package problem.
type Error = problem.Error

// Panic makes an error of what a deferred function of a view has recovered.
func Panic(v any) *Error { return problem.Panic(v) }

// Verb is what a view can ask for: I is the request and O the reply.
type Verb[I, O any] struct {
	// Name is the object and the verb, as "domain.create"; it is unique.
	Name string
	do   func(a *API, in *I) (O, error)
}

// Call runs the verb. An error is an *[Error], whose text is one line.
func (v *Verb[I, O]) Call(a *API, in I) (O, error) {
	out, err := v.do(a, &in)
	if e := (*Error)(domain.Problem(err)); e != nil {
		return out, e
	}
	return out, nil
}

// verbs are all names.
var verbs = map[string]bool{}

// add makes a verb. It panics for a name that there is already.
func add[I, O any](name string, do func(*API, *I) (O, error)) *Verb[I, O] {
	if verbs[name] {
		panic("api: two verbs have one name")
	}
	verbs[name] = true
	return &Verb[I, O]{name, do}
}

// act is add for a verb without a reply.
func act[I any](name string, do func(*API, *I) error) *Verb[I, None] {
	return add(name, func(a *API, in *I) (None, error) { return None{}, do(a, in) })
}

// None is an empty request or reply.
type None struct{}

// Hint proposes the known word nearest to word, as the end of a message: "" if
// none is near.
func Hint(word string, known []string) string { return near.Hint(word, known) }

// Settings returns the keys of settings that DomainCreate takes.
func Settings() []string { return config.Keys() }
