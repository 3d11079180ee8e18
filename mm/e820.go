// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mm

import "slices"

// Kind says what a piece of physical memory is for, in the numbering of the
// BIOS's E820 call, which multiboot shares (ACPI 6.5, "Address Range Types").
type Kind uint32

// The kinds. Firmware may use others; they are as good as Reserved.
const (
	RAM      Kind = 1
	Reserved Kind = 2
	ACPIData Kind = 3 // reclaimable after the tables were read
	ACPINVS  Kind = 4
	BadRAM   Kind = 5
)

// Region is one entry of a physical memory map.
type Region struct {
	Range[HPA]
	Kind Kind
}

// MaxHPA is the first address that no CPU has: 2^52.
const MaxHPA HPA = 1 << 52

// rank decides who wins where regions overlap: RAM loses against everything,
// otherwise the higher number wins.
func (k Kind) rank() uint64 {
	if k == RAM {
		return 0
	}
	return uint64(k) + 1
}

// Normalize brings a memory map as firmware gives it (unsorted, overlapping,
// with empty and wrapping entries) into order: sorted, disjoint, neighbours of
// one kind merged. Where entries overlap, RAM loses, and of others the higher
// kind wins.
func Normalize(in []Region) []Region {
	byRank := slices.Clone(in)
	slices.SortStableFunc(byRank, func(a, b Region) int {
		if a.Kind == b.Kind {
			return 0
		}
		if a.Kind.rank() < b.Kind.rank() {
			return -1
		}
		return 1
	})
	var kinds []Kind // in ascending rank
	var sets []Set[HPA]
	for _, x := range byRank {
		if len(kinds) == 0 || kinds[len(kinds)-1] != x.Kind {
			kinds, sets = append(kinds, x.Kind), append(sets, Set[HPA]{})
		}
		for i := range sets {
			sets[i].Remove(x.Range)
		}
		sets[len(sets)-1].Add(x.Range)
	}
	var out []Region
	for i := range sets {
		for _, r := range sets[i].r {
			out = append(out, Region{r, kinds[i]})
		}
	}
	slices.SortFunc(out, func(a, b Region) int { return compareStart(a.Range, b.Range) })
	return out
}

// Usable returns the whole 4 KiB pages that are RAM by the memory map and that
// none of the reserved ranges touches: sorted, disjoint ranges.
func Usable(memory []Region, reserved []Range[HPA]) []Range[HPA] {
	var s Set[HPA]
	for _, x := range Normalize(memory) {
		if x.Kind == RAM {
			s.Add(x.Range.Intersect(Span(0, MaxHPA)).AlignIn(PageSize))
		}
	}
	for _, r := range reserved {
		s.Remove(r.AlignOut(PageSize))
	}
	return s.Ranges()
}
