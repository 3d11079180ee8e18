// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vcputest

import (
	"strings"
	"testing"

	"ringo/hv/vcpu"
)

type fakeMachine struct{ b *Backend }

func (m fakeMachine) Backend() vcpu.Backend { return m.b }
func (m fakeMachine) CPU() int              { return 0 }
func (m fakeMachine) RAM() []byte           { return nil }
func (m fakeMachine) Runs() bool            { return false }
func (m fakeMachine) NewVCPU(t T) vcpu.VCPU {
	v, err := m.b.NewVCPU(nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return v
}

// The fake states the contract, so it has to keep it. The attributes are for
// the table at the end of "make test" (tools/check).
func TestFakeConforms(t *testing.T) {
	const column = "the fake, on this host"
	m := fakeMachine{NewBackend()}
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if c.Runs && !m.Runs() {
				t.Attr("verdict", column+" | "+c.Name+" | skip | a fake executes no guest")
				t.Skip("needs a guest that executes")
			}
			c.Run(t, m)
			verdict := "pass"
			if t.Failed() {
				verdict = "fail"
			}
			t.Attr("verdict", column+" | "+c.Name+" | "+verdict)
		})
	}
}

// recorder notes failures.
type recorder struct{ failed []string }

func (r *recorder) Errorf(format string, _ ...any) { r.failed = append(r.failed, format) }
func (r *recorder) Fatalf(format string, _ ...any) { r.failed = append(r.failed, format) }
func (r *recorder) Logf(string, ...any)            {}

// lying is a machine whose vCPUs break the contract in one way.
type lying struct {
	fakeMachine
	wrap func(v vcpu.VCPU) vcpu.VCPU
}

func (l lying) NewVCPU(t T) vcpu.VCPU { return l.wrap(l.fakeMachine.NewVCPU(t)) }

type eager struct{ vcpu.VCPU }

func (e eager) Inject(vcpu.Event) bool { return true }

type stuck struct{ vcpu.VCPU }

func (stuck) Advance(uint8) {}

// The suite must notice a broken backend.
func TestSuiteFails(t *testing.T) {
	for name, wrap := range map[string]func(v vcpu.VCPU) vcpu.VCPU{
		"Inject": func(v vcpu.VCPU) vcpu.VCPU { return eager{v} },
		"RIP":    func(v vcpu.VCPU) vcpu.VCPU { return stuck{v} },
	} {
		var r recorder
		Conformance(&r, lying{fakeMachine{NewBackend()}, wrap})
		if !strings.Contains(strings.Join(r.failed, "\n"), name) {
			t.Errorf("%s: not noticed: %q", name, r.failed)
		}
	}
}
