// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// machineOf gives a console and the machine's end of it.
func machineOf(t *testing.T, limit int) (*Console, *io.PipeWriter, *io.PipeReader) {
	outR, outW := io.Pipe()
	inR, inW := io.Pipe()
	t.Cleanup(func() { outW.Close(); inR.Close() })
	return NewConsole(outR, inW, limit), outW, inR
}

func TestExpectAcrossWrites(t *testing.T) {
	c, out, _ := machineOf(t, 1<<20)
	go func() {
		for _, s := range []string{"boot\r\nrin", "go", "# ", "\x1b[", "2Krest ", "two"} {
			io.WriteString(out, s)
		}
	}()
	_, before, err := c.Expect(time.Minute, "nowhere", "ringo# ")
	if err != nil || before != "boot\n" {
		t.Fatalf("before %q, %v", before, err)
	}
	// The match is used up, and the control sequence is gone.
	which, before, err := c.Expect(time.Minute, "ringo# ", "two", "rest")
	if err != nil || which != 2 || before != "" {
		t.Fatalf("which %d, before %q, %v", which, before, err)
	}
	if diff := cmp.Diff("boot\nringo# rest", c.Transcript()[:len("boot\nringo# rest")]); diff != "" {
		t.Error(diff)
	}
}

func TestExpectRE(t *testing.T) {
	c, out, _ := machineOf(t, 1<<20)
	go io.WriteString(out, "free_memory : 42\n")
	got, err := c.ExpectRE(time.Minute, regexp.MustCompile(`(\w+) +: (\d+)(x)?`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"free_memory : 42", "free_memory", "42", ""}, got); diff != "" {
		t.Error(diff)
	}
}

func TestExpectFails(t *testing.T) {
	c, out, _ := machineOf(t, 1<<20)
	io.WriteString(out, "something else\n")
	_, _, err := c.Expect(20*time.Millisecond, "prompt")
	var late *TimeoutError
	if !errors.As(err, &late) || !strings.Contains(err.Error(), "something else") {
		t.Errorf("timeout: %v", err)
	}
	out.Close()
	if _, _, err = c.Expect(time.Minute, "prompt"); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	// What came before the end can still be found.
	if _, _, err = c.Expect(time.Second, "else"); err != nil {
		t.Error(err)
	}
}

func TestTranscriptIsBounded(t *testing.T) {
	c, out, _ := machineOf(t, 1000)
	for range 100 {
		io.WriteString(out, strings.Repeat("x", 99)+"\n")
	}
	io.WriteString(out, "end")
	if _, _, err := c.Expect(time.Minute, "end"); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Transcript()); n > 1250 {
		t.Errorf("%d bytes kept", n)
	}
}

func TestSend(t *testing.T) {
	c, _, in := machineOf(t, 1000)
	go c.Send("list\r")
	b := make([]byte, 5)
	if _, err := io.ReadFull(in, b); err != nil || string(b) != "list\r" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestCleaner(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain\r\n", "plain\n"},
		{"\x1b[0mcolour\x1b[31;1m", "colour"},
		{"\x1b7save", "save"},
		{"a\x00b", "ab"},
		{"\x1b[12", ""},
	} {
		var whole, split cleaner
		got := string(whole.append(nil, []byte(c.in)))
		var bytewise []byte
		for i := range len(c.in) {
			bytewise = split.append(bytewise, []byte{c.in[i]})
		}
		if got != c.want || string(bytewise) != c.want {
			t.Errorf("%q gives %q and %q, want %q", c.in, got, bytewise, c.want)
		}
	}
}
