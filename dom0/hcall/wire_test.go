// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package hcall

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"ringo/hv/abi"
)

// The structures are in memory what they are on the wire: without padding that is not a
// field, and without pointers.
func TestWire(t *testing.T) {
	wire[abi.CreateArgs](t)
	wire[abi.ExtentList](t)
	wire[abi.VCPUContext](t)
	wire[abi.DomainInfo](t)
	wire[abi.HostInfo](t)
	wire[abi.ExitCounts](t)
	wire[abi.PCIFunction](t)
}

func wire[T any](t *testing.T) {
	t.Helper()
	name := reflect.TypeFor[T]().Name()
	var v, again T
	fill(reflect.ValueOf(&v).Elem(), new(byte))
	want, err := binary.Append(nil, binary.LittleEndian, &v)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	got := make([]byte, PageSize)
	if put(got, &v); !bytes.Equal(got[:len(want)], want) || len(bytes.Trim(got[len(want):], "\x00")) > 0 {
		t.Errorf("%s: on the wire it is not what it is in memory", name)
	}
	if get(got, &again); !reflect.DeepEqual(v, again) {
		t.Errorf("%s: it comes back as another one", name)
	}
}

// fill gives each number of a structure another value.
func fill(v reflect.Value, n *byte) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fill(f, n)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	default:
		*n++
		if v.CanUint() {
			v.SetUint(uint64(*n))
		} else {
			v.SetInt(int64(*n))
		}
	}
}
