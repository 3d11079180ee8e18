// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package config is the configuration of a domain: one structure for the file
// (TOML, strict), the command line, the API and the toolstack's store (JSON).
//
//	name = "web1"            # [a-z0-9-]{1,63}, unique
//	vcpus = 2
//	max_vcpus = 8            # vcpu-set changes vcpus while it runs, up to these; left out: it stays
//	topology = "1:8:1"       # sockets:cores:threads, whose product is max_vcpus, or vcpus
//	memory = "512MiB"        # KiB MiB GiB TiB; a bare number is MiB
//	cpu_weight = 256
//	cap = 0                  # percent of one CPU, 0 = none
//	cpus = "0-3,^1"          # affinity; "0/1" are vCPU 0's and 1's
//	hypervisor = "kvm"       # whose CPUID leaves come first: ringo | kvm
//	on_poweroff = "destroy"  # destroy | restart | rename-restart | preserve
//	on_reboot = "restart"
//	on_crash = "destroy"     # the same, coredump-destroy and coredump-restart
//	rng = true               # a virtio entropy device
//	hvc = false              # a virtio console, beside the serial one
//	debug_exit = false       # a write to port 0xf4 ends the domain with a code
//	[boot]
//	kernel = "boot:vmlinuz"
//	initrd = "boot:initrd.gz"
//	cmdline = "console=ttyS0"
//	modules = ["boot:a args", "boot:b"] # for multiboot and PVH kernels
//	[[disk]]
//	device = "nvme0n1p2"     # of this machine, the domain has it alone; or
//	image = "boot:disk.img"  # a file, raw: with readonly or snapshot
//	readonly = false
//	snapshot = false         # what is written is kept in memory, and gone at the end
//	serial = "data"          # for /dev/disk/by-id
//	slot = 8                 # of the guest's PCI bus, 8 to 31; left out: the first free one
//	[[port]]                 # a stream of bytes: /dev/virtio-ports/NAME, console -t NAME
//	name = "org.qemu.guest_agent.0"
//	[[nic]]
//	network = "default"      # default | private:NAME | bridge:UPLINK | none
//	mac = "52:54:00:12:34:56" # left out: made of the UUID
//	mtu = 1500
//	vlan = 10                # of a private network or a bridge; the guest does not see it
//	trunk = [10, 20]         # or VLANs that the guest uses itself
//	forward = ["tcp:2222:22"] # the machine's port 2222 leads to the guest's 22
//	unfiltered = false       # may send from addresses that are not its own
//	link = "up"              # up | down
//	rule = ["allow in tcp 22", "default deny in"] # a firewall, see package bridge
//	rate_in = "10MiB"        # a second, what is more is lost; rate_out likewise
//	packets_in = 5000        # likewise, and packets_out
//	burst = "1MiB"           # what may come at once after a silence
//	slot = 2                 # of the guest's PCI bus, 2 to 7; left out: the first free one
package config

import (
	"cmp"

	"ringo/hv/abi"
)

// Config is the configuration of a domain.
type Config struct {
	Name string `toml:"name" json:"name"`
	// UUID identifies the domain over restarts; made when it is created.
	UUID  string `toml:"uuid,omitempty" json:"uuid,omitempty"`
	VCPUs int    `toml:"vcpus" json:"vcpus"`
	// MaxVCPUs is how many can be plugged in while it runs, 0 = their number stays.
	MaxVCPUs int `toml:"max_vcpus,omitempty" json:"max_vcpus,omitempty"`
	// Topology is "sockets:cores:threads", "" = one socket of single-threaded cores.
	Topology string `toml:"topology,omitempty" json:"topology,omitempty"`
	Memory   Size   `toml:"memory" json:"memory"`
	// CPUWeight is the proportional share of CPU time.
	CPUWeight int `toml:"cpu_weight" json:"cpu_weight"`
	// Cap is in percent of one CPU, 0 = none.
	Cap int `toml:"cap" json:"cap"`
	// CPUs is the set of CPUs the domain may run on, "" = all, or with slashes that of
	// each vCPU.
	CPUs string `toml:"cpus,omitempty" json:"cpus,omitempty"`
	// Hypervisor is whose CPUID leaves a guest finds first, "" = Ringo's, of kernels
	// that are entered by a PVH note KVM's: unikernels look for no others.
	Hypervisor string `toml:"hypervisor,omitempty" json:"hypervisor,omitempty"`
	OnPoweroff Action `toml:"on_poweroff" json:"on_poweroff"`
	OnReboot   Action `toml:"on_reboot" json:"on_reboot"`
	OnCrash    Action `toml:"on_crash" json:"on_crash"`
	// RNG says that there is a virtio entropy device.
	RNG bool `toml:"rng" json:"rng"`
	// HVC says that there is a virtio console.
	HVC bool `toml:"hvc,omitempty" json:"hvc,omitempty"`
	// DebugExit says that a write to port 0xf4 ends the domain with a code.
	DebugExit bool `toml:"debug_exit,omitempty" json:"debug_exit,omitempty"`

	Boot Boot   `toml:"boot" json:"boot"`
	Disk []Disk `toml:"disk,omitempty" json:"disk,omitempty"`
	NIC  []NIC  `toml:"nic,omitempty" json:"nic,omitempty"`
	Port []Port `toml:"port,omitempty" json:"port,omitempty"`
}

// AllVCPUs is how many vCPUs there are, those that can be plugged in with the others.
func (c *Config) AllVCPUs() int { return cmp.Or(c.MaxVCPUs, c.VCPUs) }

// Values of Hypervisor.
const (
	Ringo = "ringo"
	KVM   = "kvm"
)

// Boot says what the domain boots: a kernel, or firmware.
type Boot struct {
	Kernel  string `toml:"kernel,omitempty" json:"kernel,omitempty"`
	Initrd  string `toml:"initrd,omitempty" json:"initrd,omitempty"`
	Cmdline string `toml:"cmdline,omitempty" json:"cmdline,omitempty"`
	// Modules are files with their arguments, for kernels that are no Linux.
	Modules  []string `toml:"modules,omitempty" json:"modules,omitempty"`
	Firmware string   `toml:"firmware,omitempty" json:"firmware,omitempty"` // bios | uefi
}

// Disk is a block device: a disk or a partition of the machine, or an image file.
type Disk struct {
	Device string `toml:"device,omitempty" json:"device,omitempty"`
	Image  string `toml:"image,omitempty" json:"image,omitempty"`
	Volume string `toml:"volume,omitempty" json:"volume,omitempty"`
	// Format is "raw" for an image that is not to be taken for one of another format,
	// whatever it begins with; "": as it looks.
	Format string `toml:"format,omitempty" json:"format,omitempty"`
	// ReadOnly says that the guest cannot write it. With Snapshot it can, but what it has
	// written is in dom0's memory, and gone when the domain is, or restarts.
	ReadOnly bool `toml:"readonly,omitempty" json:"readonly,omitempty"`
	Snapshot bool `toml:"snapshot,omitempty" json:"snapshot,omitempty"`
	// Size is that of a snapshot, if it is to be larger than what is below it.
	Size   Size   `toml:"size,omitempty" json:"size,omitzero"`
	Serial string `toml:"serial,omitempty" json:"serial,omitempty"`
	// Slot is where it is on the guest's PCI bus, 8 to 31; 0 = in the first one that is free.
	Slot int `toml:"slot,omitempty" json:"slot,omitempty"`
	// OnError is what an error of the disk below does: Report, or "", gives it to the guest,
	// Stop pauses the domain, and has it tried again when that goes on.
	OnError ErrorAction `toml:"on_error,omitempty" json:"on_error,omitempty"`
	// IOPS and BPS are the most requests, and bytes, that are begun in a second, 0 = any
	// number; the bursts are what may be begun at once, 0 = a tenth of a second's.
	IOPS      int  `toml:"iops,omitempty" json:"iops,omitempty"`
	IOPSBurst int  `toml:"iops_burst,omitempty" json:"iops_burst,omitempty"`
	BPS       Size `toml:"bps,omitempty" json:"bps,omitzero"`
	BPSBurst  Size `toml:"bps_burst,omitempty" json:"bps_burst,omitzero"`
}

// Action is what happens to a domain that stopped.
type Action string

// Actions. RenameRestart keeps the domain under another name and makes a new one.
// Those with a dump are for crashes only.
const (
	Destroy         Action = "destroy"
	Restart         Action = "restart"
	RenameRestart   Action = "rename-restart"
	Preserve        Action = "preserve"
	CoredumpDestroy Action = "coredump-destroy"
	CoredumpRestart Action = "coredump-restart"
)

// ErrorAction is what happens when a disk fails.
type ErrorAction string

// What errors do.
const (
	Report ErrorAction = "report"
	Stop   ErrorAction = "stop"
)

// Defaults.
const (
	DefaultMemory = 256 << 20
	DefaultWeight = 256
)

// MaxName is the longest name of a domain, in bytes.
const MaxName = 63

// Limits. maxCmdline is what Linux for x86 takes (COMMAND_LINE_SIZE) less the
// final NUL, and keeps the record below abi.RecordLen.
const (
	maxVCPUs   = abi.MaxVCPUs
	maxWeight  = 65535
	maxCmdline = 2047
	maxFile    = 255
	maxModules = abi.MaxModules
	maxCPU     = 64 // of the affinity mask
	maxSerial  = 20

	// MaxDisks is how many disks a domain can have, FirstSlot the first of as many slots
	// (board.FirstDisk).
	MaxDisks  = 24
	FirstSlot = 8
)

// Default returns the configuration that a file or command line completes.
func Default() *Config {
	return &Config{
		VCPUs: 1, Memory: Size{DefaultMemory}, CPUWeight: DefaultWeight,
		OnPoweroff: Destroy, OnReboot: Restart, OnCrash: Destroy, RNG: true,
	}
}
