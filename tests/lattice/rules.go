// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package lattice

// rules says what each package may import: of this module, by patterns without
// the module's name; of the standard library; and of other modules. The first
// rule whose pattern matches a package is its rule. A pattern that ends in "/..."
// matches a folder and all below it. See ARCHITECTURE.md, "Import lattice".
//
// Packages named *test are fakes and conformance suites: they may also import
// what rule fakes says, and only tests and each other may import them.
//
// The block in ARCHITECTURE.md is made of this table: go test ./tests/lattice -update
var rules = []rule{
	// Shared vocabulary.
	{pkg: "hv/abi"},
	{pkg: "hv/x86", std: "math/bits"},
	{pkg: "hv/insn"},
	{pkg: "hv/spec", ours: "hv/insn"},
	{pkg: "hv/bus", std: core},
	{pkg: "hv/screen", std: core},
	{pkg: "boot/layout"},

	// Memory.
	{pkg: "mm", std: core},
	{pkg: "mm/phys", ours: "mm", std: core},
	{pkg: "mm/frame", ours: "mm mm/phys", std: core},
	{pkg: "mm/pt", ours: "mm mm/phys", std: core},
	{pkg: "mm/gwalk", ours: "mm mm/phys mm/pt hv/x86", std: core},

	// From firmware to hv.
	{pkg: "boot/cmdline", std: core},
	{pkg: "boot/churn", std: core + " runtime time"},
	{pkg: "boot/mce"},
	{pkg: "boot/mb", ours: "mm", std: core},
	{pkg: "boot/acpi", ours: "mm", std: core},
	{pkg: "boot/kernel", ours: "mm hv/abi hv/x86 hv/insn boot/...", std: core + " runtime runtime/debug runtime/goos", mods: tamago},

	// The seam and its two sides, which do not know each other.
	{pkg: "hv/decode", ours: "hv/x86", std: core},
	{pkg: "hv/vcpu", ours: "hv/x86 hv/spec mm mm/phys mm/pt", std: core},
	{pkg: "svm", ours: "hv/x86 hv/insn hv/spec hv/vcpu mm mm/phys mm/pt", std: core},
	{pkg: "vmx", ours: "hv/x86 hv/insn hv/spec hv/vcpu mm mm/phys mm/pt", std: core},

	// The hypervisor, bottom up.
	{pkg: "hv/internal/run", ours: hvParts + " hv/internal/part hv/internal/hcall boot/mce", std: core},
	{pkg: "hv/internal/hcall", ours: hvParts + " hv/internal/part", std: core},
	{pkg: "hv/internal/builder", ours: hvParts + " hv/internal/part hv/internal/image boot/layout", std: core},
	{pkg: "hv/internal/part", ours: hvParts, std: core},
	{pkg: "hv/internal/policy", ours: "hv/abi hv/x86 hv/spec", std: core},
	{pkg: "hv/internal/pcpu", ours: "hv/abi hv/x86 hv/vcpu", std: core},
	{pkg: "hv/internal/sched", std: core},
	{pkg: "hv/internal/heap", std: core + " runtime/metrics"},
	{pkg: "hv/internal/pvclock", ours: "hv/abi hv/bus mm", std: core},
	{pkg: "hv/internal/iommu", ours: "hv/abi mm mm/phys mm/pt", std: core},
	{pkg: "hv/internal/vtd", ours: "hv/abi mm mm/phys mm/pt hv/internal/iommu", std: core},
	{pkg: "hv/internal/amdvi", ours: "hv/abi mm mm/phys mm/pt hv/internal/iommu", std: core},
	{pkg: "hv/internal/...", ours: "hv/abi hv/x86 hv/bus", std: core},
	{pkg: "hv", ours: "hv/... boot/... mm/... mm svm vmx", std: core + " bytes os runtime runtime/debug strings time", mods: tamago},

	// The other side of hv/abi, bottom up: device models know no toolstack, the
	// toolstack no console, and only main knows them all.
	{pkg: "dom0/hcall", ours: "hv/abi boot/layout", std: any},
	{pkg: "dom0/event", ours: "hv/abi", std: any},
	{pkg: "dom0/ioreq", ours: "hv/abi hv/bus", std: any},
	{pkg: "dom0/guestmem", ours: "drivers/dma", std: any},
	{pkg: "dom0/devmodel/vpci", ours: "hv/bus dom0/devmodel/pcihost drivers/virtio/...", std: any},
	{pkg: "dom0/devmodel/vblk", ours: "dom0/devmodel/vpci drivers/block drivers/dma drivers/virtio/...", std: any},
	{pkg: "dom0/devmodel/vnet", ours: "dom0/devmodel/vpci drivers/nic drivers/nic/offload drivers/virtio/...", std: any},
	{pkg: "dom0/devmodel/vcon", ours: "dom0/devmodel/vpci drivers/virtio/...", std: any},
	{pkg: "dom0/devmodel/vrng", ours: "dom0/devmodel/vpci drivers/virtio/...", std: any},
	{pkg: "dom0/devmodel/...", ours: "hv/bus", std: any},
	{pkg: "dom0/acpi", ours: "hv/abi", std: any},
	{pkg: "dom0/problem", std: any},
	{pkg: "dom0/account", ours: "dom0/problem", std: any},
	{pkg: "dom0/board", ours: "hv/abi dom0/acpi dom0/devmodel/...", std: any},
	{pkg: "dom0/loader", ours: "hv/abi dom0/account dom0/board", std: any, mods: any},
	{pkg: "dom0/config", ours: "hv/abi dom0/config/near", std: any, mods: any},
	{pkg: "dom0/config/near", std: any},
	{pkg: "dom0/store", ours: "dom0/account", std: any},
	{pkg: "dom0/dump", ours: "hv/abi dom0/account", std: any, mods: any},
	{pkg: "dom0/files", ours: "dom0/account hv/abi dom0/hcall dom0/config/near dom0/problem dom0/loader dom0/files/...", std: any},
	{pkg: "dom0/files/tree", std: any},
	{pkg: "dom0/files/part", std: any},
	{pkg: "dom0/files/...", ours: "dom0/files/tree", std: any},
	{pkg: "dom0/storage", ours: "dom0/account dom0/config dom0/config/near dom0/files/part dom0/loader dom0/problem dom0/storage/format drivers/block drivers/dma", std: any},
	{pkg: "dom0/storage/format", ours: "dom0/loader dom0/problem", std: any, mods: any},
	{pkg: "dom0/domain", ours: "dom0/files dom0/storage dom0/network/lan dom0/dump hv/abi dom0/hcall dom0/guestmem dom0/config dom0/config/near dom0/problem dom0/account dom0/board dom0/loader dom0/store", std: any},
	{pkg: "dom0/hardware", ours: "hv/abi dom0/event dom0/hcall drivers/...", std: any},
	{pkg: "dom0/network/dhcp", std: any},
	{pkg: "dom0/network/nat", std: any},
	{pkg: "dom0/network/names", std: any, mods: "golang.org/x/net"},
	{pkg: "dom0/network/lease", ours: "dom0/network/dhcp drivers/nic", std: any},
	{pkg: "dom0/network/bridge", ours: "dom0/problem drivers/nic/...", std: any},
	{pkg: "dom0/network/lan", ours: "dom0/config dom0/network/bridge dom0/network/nat dom0/problem drivers/nic", std: any},
	{pkg: "dom0/network", ours: "dom0/network/dhcp dom0/network/nat dom0/network/lease dom0/network/names drivers/nic drivers/nic/offload", std: any, mods: any},
	{pkg: "dom0/console/vt", std: any},
	{pkg: "dom0/console", ours: "dom0/console/vt", std: any, mods: any},
	{pkg: "dom0/platform", ours: "drivers/dma hv/abi hv/bus dom0/hcall dom0/event dom0/ioreq dom0/guestmem dom0/devmodel/... dom0/problem dom0/account dom0/board dom0/config dom0/domain dom0/storage dom0/network/lan dom0/console", std: any},
	{pkg: "dom0/api", ours: "hv/abi dom0/hcall dom0/config dom0/config/near dom0/problem dom0/account dom0/domain dom0/files dom0/hardware dom0/storage dom0/network dom0/network/lan drivers/block drivers/pci", std: any},
	{pkg: "dom0/cli", ours: "dom0/api", std: any},
	{pkg: "dom0", ours: "hv/abi hv/insn boot/kernel boot/layout boot/churn dom0/... drivers/nic", std: any, mods: any},
	{pkg: "drivers/...", ours: "drivers/...", std: any, mods: tamago},

	// Programs of the developer's host, and tests.
	{pkg: "tools/...", ours: "tools/... hv/abi boot/layout dom0/...", std: any, mods: any},
	{pkg: "tests/...", ours: "tests/... tools/... hv/... boot/... mm/... mm svm vmx dom0/... drivers/...", std: any, mods: any},
}

// fakes is what packages named *test may import beyond the rule of their
// folder.
var fakes = rule{ours: "hv/abi hv/x86 hv/internal/vlapic hv/bus mm/... mm", std: any, mods: "github.com/google/go-cmp"}

const (
	any = "*"
	// core is the standard library of code that runs below the guests: it
	// neither prints, nor reflects, nor knows an operating system.
	core   = "cmp encoding/binary errors math math/bits slices strconv sync sync/atomic unsafe"
	tamago = "github.com/usbarmory/tamago"
	// hvParts is what the ledger and the packages above it are made of.
	hvParts = "hv/abi hv/x86 hv/insn hv/spec hv/decode hv/vcpu mm mm/phys mm/frame mm/pt mm/gwalk" +
		" hv/bus hv/internal/dbg hv/internal/event hv/internal/pcpu hv/internal/policy" +
		" hv/internal/sched hv/internal/vlapic hv/internal/vioapic hv/internal/vpic hv/internal/vpit" +
		" hv/internal/vpm hv/internal/vhpet hv/internal/pvclock hv/internal/pci"
)
