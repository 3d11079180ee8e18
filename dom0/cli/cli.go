// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package cli is the command line of the toolstack: one table of verbs, named as
// xl names them, for the host console and every other way in. A command writes
// to an io.Writer and ends with status 0, or 1 after one line "error: ...".
package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"ringo/dom0/api"
)

// Terminal shows a domain's console until the user leaves it, raw or fit for any
// terminal; with force the keyboard is taken from who has it. which is the console's or
// port's name, "" for the serial one. platform.Terminal does.
type Terminal interface {
	Attach(id uint32, name, which string, raw, force bool) error
}

// Prompt is where lines come from, and their output goes; console.Host is one.
type Prompt interface {
	io.Writer
	ReadLine() (string, error)
	// ReadText reads lines until one that is a single dot. The text has at most most
	// bytes. After an error nothing of it is left.
	ReadText(prompt string, most int) (string, error)
	// SetComplete sets the source of completions: candidates replace line[from:].
	SetComplete(func(line string) (from int, candidates []string))
}

// Shell runs commands. Its fields are set before the first command; commands may
// run concurrently.
type Shell struct {
	API      *api.API
	Terminal Terminal // nil: consoles cannot be shown here

	mu  sync.Mutex // guards top
	top sample
}

// call is one command being run.
type call struct {
	*Shell
	verb *verb
	args []string
	opt  map[byte]string // flags that were given
	out  *bytes.Buffer
	w    io.Writer // where out goes in the end
}

func (c *call) printf(format string, a ...any) { fmt.Fprintf(c.out, format, a...) }

// flush shows what was printed so far.
func (c *call) flush() {
	_, _ = c.w.Write(c.out.Bytes())
	c.out.Reset()
}

// Run runs one line and returns its exit status.
func (s *Shell) Run(line string, w io.Writer) int {
	words, err := split(line)
	if err == nil && len(words) > 0 && words[0] == "xl" {
		words = words[1:]
	}
	if err == nil && len(words) == 0 {
		return 0
	}
	c := &call{Shell: s, out: new(bytes.Buffer), w: w}
	if err == nil {
		err = c.run(words)
	}
	if err != nil {
		c.printf("error: %v\n", err)
	}
	c.flush()
	if err != nil {
		return 1
	}
	return 0
}

// Loop runs commands of the host console until its stream ends.
func (s *Shell) Loop(h Prompt) error {
	h.SetComplete(s.Complete)
	for {
		line, err := h.ReadLine()
		if err != nil {
			return err
		}
		s.Run(line, h)
	}
}

// run finds the verb and checks flags and the number of arguments against its
// row of the table. A verb that panics has failed, no more.
func (c *call) run(words []string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = api.Panic(v)
		}
	}()
	if c.verb = find(words[0]); c.verb == nil {
		return unknown(words[0])
	}
	if err := c.flags(words[1:]); err != nil {
		return err
	}
	if n := len(c.args); n < c.verb.least || c.verb.most >= 0 && n > c.verb.most {
		return c.usage()
	}
	return c.verb.run(c)
}

func (c *call) usage() error {
	return errors.New("usage: " + strings.TrimSpace(c.verb.name+" "+c.verb.args))
}

// flags sorts words into flags and arguments. Flags are letters of verb.flags,
// one followed by ":" takes a value; "--all" and the like are in verb.long.
func (c *call) flags(words []string) error {
	c.opt = map[byte]string{}
	for len(words) > 0 {
		w := words[0]
		words = words[1:]
		if len(w) < 2 || w[0] != '-' {
			c.args = append(c.args, w)
			continue
		}
		if letter := c.verb.long[w]; letter != 0 {
			c.opt[letter] = ""
			continue
		}
		for i := 1; i < len(w); i++ {
			at := strings.IndexByte(c.verb.flags, w[i])
			if at < 0 || w[i] == ':' {
				return fmt.Errorf("%s has no flag -%c; %w", c.verb.name, w[i], c.usage())
			}
			if !strings.HasPrefix(c.verb.flags[at+1:], ":") {
				c.opt[w[i]] = ""
				continue
			}
			value := w[i+1:]
			if value == "" {
				if len(words) == 0 {
					return fmt.Errorf("flag -%c needs a value; %w", w[i], c.usage())
				}
				value, words = words[0], words[1:]
			}
			c.opt[w[i]] = value
			break
		}
	}
	return nil
}

// given reports whether a flag was given.
func (c *call) given(flag byte) bool {
	_, ok := c.opt[flag]
	return ok
}

func unknown(name string) error {
	if slices.Contains(later, name) {
		return fmt.Errorf("%s is not available in this version", name)
	}
	hint := api.Hint(name, verbNames())
	if hint == "" {
		hint = ": help lists the commands"
	}
	return fmt.Errorf("unknown command %q%s", name, hint)
}

// split cuts a line into words as a shell does: quotes and backslashes protect.
func split(line string) ([]string, error) {
	var words []string
	var word []byte
	in, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		b := line[i]
		switch {
		case quote != 0 && b == quote:
			quote = 0
		case b == '\\' && quote != '\'':
			if i++; i == len(line) {
				return nil, errors.New(`the line ends with a backslash`)
			}
			word, in = append(word, line[i]), true
		case quote != 0:
			word = append(word, b)
		case b == '"' || b == '\'':
			quote, in = b, true
		case b == ' ' || b == '\t':
			if in {
				words = append(words, string(word))
			}
			word, in = nil, false
		default:
			word, in = append(word, b), true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a closing %c is missing", quote)
	}
	if in {
		words = append(words, string(word))
	}
	return words, nil
}
