// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package console

import "sync"

// digits is the length of a code.
const digits = 3

// Answer is what a key means to a question.
type Answer uint8

// Answers.
const (
	NoQuestion Answer = iota // none is open
	More                     // the code so far
	Yes
	No // another key: the question is closed
)

// Confirm asks before a debug key that ends something. The answer is a code that
// is shown and new each time: a terminal that types what a guest has chosen does
// not know it.
type Confirm struct {
	mu   sync.Mutex
	key  byte // 0: no question is open
	code [digits]byte
	n    int // digits of code typed
}

// Ask opens the question about key and returns the code, which is made of seed.
func (c *Confirm) Ask(key byte, seed uint64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	seed = seed * 0x9e37_79b9_7f4a_7c15 >> 32 // the high bits depend on all
	for i := range c.code {
		c.code[i] = '0' + byte(seed%10)
		seed /= 10
	}
	c.key, c.n = key, 0
	return string(c.code[:])
}

// Type takes a key; with Yes it returns the one that was asked about.
func (c *Confirm) Type(k byte) (byte, Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.key == 0 {
		return 0, NoQuestion
	}
	key := c.key
	if k != c.code[c.n] {
		c.key = 0
		return key, No
	}
	if c.n++; c.n < digits {
		return key, More
	}
	c.key = 0
	return key, Yes
}
