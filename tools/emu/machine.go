// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package emu

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// End is how a machine's run ended.
type End string

// The ends.
const (
	Poweroff End = "poweroff" // the machine switched itself off (ACPI S5)
	Reset    End = "reset"    // the machine reset itself: a reboot, or a triple fault of the host
	Killed   End = "killed"   // by Kill, or a signal
	Exited   End = "exited"   // the emulator ended by itself, see Status.Code
)

// Status is the end of a run.
type Status struct {
	End  End
	Code int // the emulator's exit code, -1 if killed
	// Stderr is what the emulator had to complain about.
	Stderr string
}

// Machine is a running emulator.
type Machine struct {
	*Console
	// Monitor is nil under Bochs.
	Monitor *Monitor

	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan struct{} // closed after status is set
	status Status
	log    *bochsLog // nil under QEMU
}

// Start lays out the files of c and starts QEMU, or Bochs if c.Accel says so. The
// machine ends when it switches itself off or resets, at Kill, and with this
// process.
func Start(c Config) (*Machine, error) {
	if c.Accel == InBochs {
		return StartBochs(c)
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := c.makeStage()
	if err != nil {
		return nil, err
	}
	mon, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(QEMU, c.qemuArgs(s)...)
	cmd.ExtraFiles = []*os.File{theirs}
	m := &Machine{Monitor: newMonitor(mon), cmd: cmd, done: make(chan struct{})}
	err = m.startPiped(c.MaxTranscript)
	theirs.Close() // so that the monitor ends with QEMU
	if err != nil {
		mon.Close()
		return nil, err
	}
	if _, err := m.Monitor.Do("qmp_capabilities", nil); err != nil {
		<-m.done
		return nil, fmt.Errorf("%s: exit status %d: %s", QEMU, m.status.Code, m.status.Stderr)
	}
	return m, nil
}

// startPiped runs the emulator with its console on standard input and output.
func (m *Machine) startPiped(limit int) error {
	in, err := m.cmd.StdinPipe()
	if err != nil {
		return err
	}
	// Not StdoutPipe, which Wait closes before all of it is read.
	out, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer theirs.Close()
	m.cmd.Stdout, m.cmd.Stderr = theirs, &m.stderr
	if err := m.spawn(); err != nil {
		out.Close()
		return err
	}
	m.Console = NewConsole(out, in, limit)
	return nil
}

// spawn starts the process so that it dies with us, and collects its end. The
// parent-death signal belongs to the thread that starts the child, which
// therefore stays until the child has ended.
func (m *Machine) spawn() error {
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := m.cmd.Start()
		started <- err
		if err == nil {
			m.finish(m.cmd.Wait())
		}
	}()
	return <-started
}

// finish records the end of the process.
func (m *Machine) finish(err error) {
	s := Status{End: Exited, Stderr: strings.TrimSpace(m.stderr.String())}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		s.Code = exit.ExitCode()
	case err != nil:
		s.Code = -1
		s.Stderr += err.Error()
	}
	if s.Code < 0 {
		s.End = Killed
	}
	if m.log != nil {
		m.log.judge(&s)
	}
	if m.Monitor != nil {
		select {
		case <-m.Monitor.done: // every event is in
		case <-time.After(time.Second):
		}
		switch m.Monitor.Reason() {
		case "guest-shutdown":
			s.End = Poweroff
		case "guest-reset":
			s.End = Reset
		case "host-signal", "host-qmp-quit":
			s.End = Killed
		}
	}
	m.status = s
	close(m.done)
}

// Done is closed when the emulator has ended.
func (m *Machine) Done() <-chan struct{} { return m.done }

// Wait waits at most d for the end of the run.
func (m *Machine) Wait(d time.Duration) (Status, error) {
	select {
	case <-m.done: // even if d is over too
		return m.status, nil
	default:
	}
	select {
	case <-m.done:
		return m.status, nil
	case <-time.After(d):
		return Status{}, &TimeoutError{What: "end of the machine", After: d, Last: tail([]byte(m.Transcript()), 40)}
	}
}

// LostInput is how many typed characters were lost because the machine did not
// empty its serial port's receiver in time: Bochs puts one there every 87 µs of
// its time, whether there is room or not. QEMU waits for room, so 0.
func (m *Machine) LostInput() int {
	if m.log == nil {
		return 0
	}
	return m.log.lostInput()
}

// Kill ends the emulator at once.
func (m *Machine) Kill() {
	m.cmd.Process.Kill()
	<-m.done
}

// CommandLine is how the emulator was started, for a person to repeat.
func (m *Machine) CommandLine() string {
	var b strings.Builder
	for i, a := range m.cmd.Args {
		if i > 0 {
			b.WriteByte(' ')
		}
		if a == "" || strings.ContainsAny(a, " \t\n'\"$*?&;|<>()\\`#~") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		b.WriteString(a)
	}
	return b.String()
}

// socketPair makes a connected pair: one end for us, one for a child.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "qmp"), os.NewFile(uintptr(fds[1]), "qmp-child")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}
