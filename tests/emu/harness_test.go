// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ringo/tools/emu"
)

// echoCode prints '>', then echoes what is typed; 'p' writes SLP_EN to the
// port where SeaBIOS puts the q35's PM1a control register, 'r' pulses the
// reset line by the keyboard controller. 32-bit code, position independent.
var echoCode = []byte{
	0x66, 0xba, 0xfb, 0x03, 0xb0, 0x03, 0xee, // OUT 0x3fb, 3: eight data bits
	0xb4, '>', 0xeb, 0x16, // MOV AH, '>'; JMP put
	0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf7, // get: wait for a byte in 0x3fd
	0xb2, 0xf8, 0xec, // IN AL, 0x3f8
	0x3c, 'p', 0x74, 0x16, // JE off
	0x3c, 'r', 0x74, 0x1e, // JE reset
	0x88, 0xc4, // MOV AH, AL
	0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xf7, // put: wait for room
	0x88, 0xe0, 0xb2, 0xf8, 0xee, 0xeb, 0xda, // OUT 0x3f8, AH; JMP get
	0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef, 0xeb, 0xce, // off: OUT 0x604, 0x2000
	0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xc8, // reset: OUT 0x64, 0xfe
}

// echoImage wraps echoCode as a multiboot 1 and 2 image that loads at 1 MiB.
func echoImage(t *testing.T) string {
	const base, mb2, code = 1 << 20, 32, 32 + 64
	b := make([]byte, code+len(echoCode))
	copy(b[code:], echoCode)
	end := uint32(base + len(b))
	// Multiboot 0.6.96, "The address fields of Multiboot header".
	const magic, flags = 0x1badb002, 1 << 16
	put(b, magic, flags, 1<<32-magic-flags, base, base, end, end, base+code)
	// Multiboot2 2.0, "The address tag" (2) and "The entry address tag" (3).
	const magic2 = 0xe85250d6
	put(b[mb2:], magic2, 0, 64, 1<<32-magic2-64,
		2, 24, base+mb2, base, end, end, 3, 12, base+code, 0, 0, 8)
	name := filepath.Join(t.TempDir(), "echo.img")
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func put(b []byte, words ...uint32) {
	for i, w := range words {
		binary.LittleEndian.PutUint32(b[4*i:], w)
	}
}

// TestMachine: tools/emu boots each way, talks, and sees each kind of end.
func TestMachine(t *testing.T) {
	t.Parallel()
	img := echoImage(t)
	for _, c := range []struct {
		boot emu.Boot
		key  string
		want emu.End
	}{
		{emu.BootKernel, "p", emu.Poweroff},
		{emu.BootKernel, "r", emu.Reset},
		{emu.BootKernel, "", emu.Killed},
		{emu.BootISO, "p", emu.Poweroff},
		{emu.BootPXE, "p", emu.Poweroff},
	} {
		t.Run(string(c.boot)+c.key, func(t *testing.T) {
			m, err := emu.Start(emu.Config{HV: img, HVArgs: "a b", Modules: emu.Modules(img), Boot: c.boot, Dir: t.TempDir(), MemMiB: 128})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Kill()
			if _, _, err := m.Expect(bootTime, ">"); err != nil {
				t.Fatal(err, m.CommandLine())
			}
			m.Send("hello")
			if _, _, err := m.Expect(verbTime, "hello"); err != nil {
				t.Fatal(err)
			}
			if s, err := m.Monitor.HMP("info status"); err != nil || s == "" {
				t.Errorf("info status: %q, %v", s, err)
			}
			if c.key == "" {
				m.Kill()
			} else {
				m.Send(c.key)
			}
			s, err := m.Wait(endTime)
			if err != nil || s.End != c.want {
				t.Errorf("%+v, %v; want %s", s, err, c.want)
			}
			for range 20 { // it stays ended, whatever the deadline
				if _, err := m.Wait(0); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestMachineThatCannotStart(t *testing.T) {
	t.Parallel()
	_, err := emu.Start(emu.Config{HV: echoImage(t), Dir: t.TempDir(), Args: []string{"-no-such-option"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-option") {
		t.Error(err)
	}
}

func TestMachineInBochs(t *testing.T) {
	t.Parallel()
	m, err := emu.StartBochs(emu.Config{HV: echoImage(t), Dir: t.TempDir(), MemMiB: 128})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Kill()
	if _, _, err := m.Expect(bootTime, ">"); err != nil {
		t.Fatal(err)
	}
	if err := m.Send("hello"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Expect(bootTime, "hello"); err != nil {
		t.Fatal(err)
	}
}

// TestEcho: what is typed is found although a line of the log divides it, and only
// then.
func TestEcho(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]bool{
		"ringo# console a.b\n":                    true,
		"console ringo: warning: domain 2\na.b\n": true,
		"conringo: 1\nringo: 2\nsole a.b":         true,
		"console axb\n":                           false,
		"con something else\nsole a.b\n":          false,
	} {
		if got := regexp.MustCompile(echo("console a.b")).MatchString(out); got != want {
			t.Errorf("%q: %v", out, got)
		}
	}
}
