// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"fmt"
	"strconv"
	"strings"

	"ringo/hv/abi"
)

// ParseTopology reads how n vCPUs make up sockets, such as "2:4:1": sockets, cores of
// each, threads of each core. "" is one socket of single-threaded cores.
func ParseTopology(s string, n int) (abi.Topology, error) {
	if s == "" {
		return abi.Topology{}, nil
	}
	parts := strings.Split(s, ":")
	var sizes [3]uint64
	all, ok := uint64(1), len(parts) == len(sizes)
	for i := 0; ok && i < len(sizes); i++ {
		var err error
		sizes[i], err = strconv.ParseUint(parts[i], 10, 16)
		all *= sizes[i]
		ok = err == nil && sizes[i] != 0
	}
	if !ok {
		return abi.Topology{}, fmt.Errorf("%q is not sockets:cores:threads: write three numbers from 1 on, such as 1:%d:1", short(s), n)
	}
	if all != uint64(n) {
		return abi.Topology{}, fmt.Errorf("%q makes %d CPUs, and there are %d (max_vcpus, or else vcpus): make them equal", s, all, n)
	}
	return abi.Topology{Cores: uint32(sizes[1]), Threads: uint32(sizes[2])}, nil
}

// FormatCPUs writes a set of CPUs as ParseCPUs reads it; "all" if it has all n.
func FormatCPUs(mask uint64, n int) string {
	if all := ^uint64(0); mask == all || n < maxCPU && mask == 1<<n-1 {
		return "all"
	}
	var parts []string
	for cpu := 0; cpu < maxCPU; cpu++ {
		from := cpu
		for cpu < maxCPU && mask>>cpu&1 != 0 {
			cpu++
		}
		switch cpu - from {
		case 0:
		case 1:
			parts = append(parts, strconv.Itoa(from))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", from, cpu-1))
		}
	}
	return strings.Join(parts, ",")
}

// ParseAffinity reads the sets of CPUs of each of some vCPUs, such as "0/1/2-3": each as
// ParseCPUs reads it, and the last is that of all vCPUs after it too.
func ParseAffinity(s string, vcpus, n int) (masks []uint64, err error) {
	if sets := strings.Count(s, "/") + 1; sets > vcpus {
		return nil, fmt.Errorf("%q has sets of CPUs for %d vCPUs, of which there are %d", short(s), sets, vcpus)
	}
	for _, set := range SplitAffinity(s, vcpus) {
		mask, err := ParseCPUs(set, n)
		if err != nil {
			return nil, err
		}
		masks = append(masks, mask)
	}
	return masks, nil
}

// SplitAffinity returns the set of CPUs of each vCPU, as written.
func SplitAffinity(s string, vcpus int) []string {
	sets := strings.Split(s, "/")
	for len(sets) < vcpus {
		sets = append(sets, sets[len(sets)-1])
	}
	return sets
}

// JoinAffinity writes sets of CPUs as ParseAffinity reads them.
func JoinAffinity(sets []string) string {
	for len(sets) > 1 && sets[len(sets)-1] == sets[len(sets)-2] {
		sets = sets[:len(sets)-1]
	}
	return strings.Join(sets, "/")
}

// ParseCPUs reads a set of CPUs such as "0-3,^1" as a mask, bit per CPU; 0 stands
// for all, as "" and "all" do. A set that only excludes starts from all n CPUs.
func ParseCPUs(s string, n int) (uint64, error) {
	bad := func() (uint64, error) {
		return 0, fmt.Errorf("%q is not a set of CPUs: write 0-3, 0,2 or 0-3,^1", short(s))
	}
	if s == "" || s == "all" {
		return 0, nil
	}
	all := ^uint64(0)
	if n < maxCPU {
		all = 1<<n - 1
	}
	var mask uint64
	for i, part := range strings.Split(s, ",") {
		part, not := strings.CutPrefix(strings.TrimSpace(part), "^")
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		a, err1 := strconv.ParseUint(from, 10, 16)
		b, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil || a > b {
			return bad()
		}
		if b >= uint64(n) {
			return 0, fmt.Errorf("there is no CPU %d: this machine has CPUs 0 to %d", b, n-1)
		}
		bits := (uint64(1)<<(b-a)<<1 - 1) << a
		switch {
		case !not:
			mask |= bits
		case i == 0:
			mask = all &^ bits
		default:
			mask &^= bits
		}
	}
	if mask == 0 {
		return 0, fmt.Errorf("%q leaves no CPU to run on", short(s))
	}
	return mask, nil
}
