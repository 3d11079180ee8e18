// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package problem is the error that a user sees: what is wrong, what to do about
// it, and of which kind it is, for views that have numbers for kinds.
package problem

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is a class of problems. As text it is its name in every interface.
type Kind string

// Kinds, with the status of HTTP (RFC 9110, "Status Codes") that each is like.
const (
	Invalid     Kind = "invalid"     // 422: the request says something that cannot be
	NotFound    Kind = "not-found"   // 404
	Exists      Kind = "exists"      // 409: a name or UUID is taken
	Refused     Kind = "refused"     // 409: not to this object, not in this state
	Full        Kind = "full"        // 507: not enough memory or another resource
	Busy        Kind = "busy"        // 503: try again
	Unsupported Kind = "unsupported" // 501: not in this version
	Internal    Kind = "internal"    // 500: should not have happened
)

// Error is a problem. Message and Remedy are each part of one line.
type Error struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"` // what to do, "" if there is nothing to say
	// Cause is what went wrong below, for errors.Is and As.
	Cause error `json:"-"`

	command bool // Remedy is one, as typed at the prompt
}

// New returns a problem; remedy may be empty.
func New(k Kind, remedy, format string, a ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, a...), Remedy: remedy}
}

// Command says that the remedy is a command, and returns e.
func (e *Error) Command() *Error {
	e.command = true
	return e
}

// Error is the message and the remedy, as one line.
func (e *Error) Error() string {
	switch {
	case e.Remedy == "":
		return e.Message
	case strings.HasSuffix(e.Remedy, "?"), e.command:
		return e.Message + " (" + e.Remedy + ")"
	}
	return e.Message + ": " + e.Remedy
}

// Unwrap returns Cause.
func (e *Error) Unwrap() error { return e.Cause }

// Of returns err as a problem: the one in it with what stands around that, or one
// of kind k; nil for nil.
func Of(k Kind, err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Kind: k, Message: oneLine(err.Error()), Cause: err}
	}
	if e == err {
		return e
	}
	text := oneLine(err.Error())
	tail := strings.TrimPrefix(e.Error(), e.Message)
	if message, ok := strings.CutSuffix(text, tail); ok {
		return &Error{Kind: e.Kind, Message: message, Remedy: e.Remedy, Cause: err, command: e.command}
	}
	return &Error{Kind: e.Kind, Message: text, Cause: err} // something follows the remedy
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }
