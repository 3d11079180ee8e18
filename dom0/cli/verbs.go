// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"slices"
	"strings"

	"ringo/dom0/api"
)

// verb is a row of the table of commands.
type verb struct {
	name  string
	alias []string        // virsh's names, and old ones
	args  string          // usage
	flags string          // letters; ":" after one that takes a value
	long  map[string]byte // "--flags" and the letters that they stand for
	least int             // number of arguments
	most  int             // -1: any
	kind  argKind
	short string // one line
	text  string // more, for help VERB
	run   func(c *call) error
}

// argKind says what completes a verb's arguments.
type argKind uint8

const (
	argNone argKind = iota
	argDomain
	argDefined
	argCreate
	argVerb
	argFile
	argNetwork
	argCard
)

// verbs is the table; help prints it in this order. It is filled by init since
// help refers to it.
var verbs []verb

func init() {
	verbs = slices.Concat(domainVerbs(), blockVerbs(), lanVerbs(), networkVerbs(), hostVerbs())
}

// domainVerbs are those about domains.
func domainVerbs() []verb {
	return []verb{
		{name: "create", args: "[-c] [-p] [-n] [FILE | -] [key=value ...]", flags: "cpn", least: 1, most: -1, kind: argCreate,
			short: "make a domain and start it", text: createHelp, run: create},
		{name: "define", args: "[FILE | -] [key=value ...]", least: 1, most: -1, kind: argCreate,
			short: "keep a domain's configuration, for start", text: defineHelp, run: define},
		{name: "undefine", args: "DOMAIN", least: 1, most: 1, kind: argDefined,
			short: "forget a domain's configuration", run: on(api.DomainUndefine),
			text: "If it runs it goes on, and is gone when it stops."},
		{name: "edit", args: "DOMAIN [key=value ...]", least: 1, most: -1, kind: argDefined,
			short: "change a defined domain's configuration", text: editHelp, run: edit},
		{name: "start", args: "[-c] [-p] DOMAIN", flags: "cp", long: map[string]byte{"--console": 'c', "--paused": 'p'}, least: 1, most: 1, kind: argDefined,
			short: "make a defined domain and start it", run: start,
			text: "-c attaches the console, -p leaves the domain paused."},
		{name: "autostart", args: "[-d] DOMAIN", flags: "d", long: map[string]byte{"--disable": 'd'}, least: 1, most: 1, kind: argDefined,
			short: "start a defined domain with the machine", run: autostart,
			text: "-d does not any more. Files named on the hypervisor's command line, as in\nautostart=a.toml,b.toml, are defined so and started at power-on."},
		{name: "list", args: "[-a] [-l | -v] [DOMAIN]", flags: "lva", long: map[string]byte{"--all": 'a', "--long": 'l', "--verbose": 'v'}, most: 1, kind: argDomain,
			short: "list domains", text: listHelp, run: list},
		{name: "console", args: "[-f] [-r] [-t NAME] DOMAIN", flags: "frt:", least: 1, most: 1, kind: argDomain,
			short: "attach to a domain's console; Ctrl-] leaves it", run: attach, text: consoleHelp},
		{name: "pause", alias: []string{"suspend"}, args: "DOMAIN", least: 1, most: 1, kind: argDomain,
			short: "stop a domain's vCPUs until unpause", run: on(api.DomainPause)},
		{name: "unpause", alias: []string{"resume"}, args: "DOMAIN", least: 1, most: 1, kind: argDomain,
			short: "let a paused domain go on", run: on(api.DomainUnpause)},
		{name: "shutdown", args: "[-w] [-F] DOMAIN", flags: "wF", least: 1, most: 1, kind: argDomain,
			short: "push a domain's power button", run: asked(api.DomainShutdown), text: shutdownHelp},
		{name: "reboot", args: "[-w] [-F] DOMAIN", flags: "wF", least: 1, most: 1, kind: argDomain,
			short: "push a domain's power button, and start it again", run: asked(api.DomainReboot), text: shutdownHelp},
		{name: "reset", args: "DOMAIN", least: 1, most: 1, kind: argDomain,
			short: "push a domain's reset button", run: on(api.DomainReset),
			text: "What happens then is on_reboot of the domain's configuration. The guest is not asked."},
		{name: "trigger", args: "DOMAIN nmi|init|reset|power|sleep|genid [VCPU]", least: 2, most: 3, kind: argDomain,
			short: "cause an event in a domain", run: trigger,
			text: "nmi and init go to a vCPU, by default 0, of which init is a reset. The buttons are ACPI's.\ngenid gives the domain another generation identifier, as a copy of it would have: its\nsystem draws new random numbers."},
		{name: "sysrq", args: "DOMAIN KEY", least: 2, most: 2, kind: argDomain,
			short: "send a magic SysRq key to a Linux guest", run: sysrq,
			text: "A break and the key on the serial console, which must be the guest's. h lists the keys there."},
		{name: "destroy", args: "DOMAIN", least: 1, most: 1, kind: argDomain,
			short: "end a domain at once", run: on(api.DomainDestroy),
			text: "Pulls the cord. Returns when the domain's memory is scrubbed and free."},
		{name: "vcpu-set", alias: []string{"setvcpus"}, args: "DOMAIN NUMBER", least: 2, most: 2, kind: argDefined,
			short: "change a domain's number of vCPUs", run: resize("vcpus"), text: vcpuSetHelp},
		{name: "mem-set", alias: []string{"setmem"}, args: "DOMAIN SIZE", least: 2, most: 2, kind: argDefined,
			short: "change a defined domain's memory", run: resize("memory"), text: memSetHelp},
		{name: "dump-core", args: "DOMAIN", least: 1, most: 1, kind: argDomain,
			short: "keep a domain's memory and registers", run: dumpCore, text: dumpHelp},
		{name: "dumps", args: "[-d NAME | NAME | -x NAME [OFFSET [LENGTH]]]", flags: "dx", most: 3, kind: argDomain,
			short: "list, show or forget dumps", run: dumps,
			text: "With a name it is described; -x shows bytes of the file, -d forgets it."},
		{name: "rename", alias: []string{"domrename"}, args: "DOMAIN NEWNAME", least: 2, most: 2, kind: argDomain,
			short: "give a domain another name", run: rename},
		{name: "domid", args: "DOMAIN", least: 1, most: 1, kind: argDomain, short: "print the id of a domain", run: domid},
		{name: "domname", args: "ID", least: 1, most: 1, kind: argDomain, short: "print the name of a domain", run: domname},
		{name: "dominfo", args: "DOMAIN", least: 1, most: 1, kind: argDomain, short: "describe a domain", run: dominfo},
		{name: "domstate", args: "DOMAIN", least: 1, most: 1, kind: argDomain, short: "print the state of a domain", run: domstate},
		{name: "vcpu-list", args: "[DOMAIN]", most: 1, kind: argDomain, short: "list vCPUs and where they may run", run: vcpuList},
		{name: "vcpu-pin", alias: []string{"vcpupin"}, args: "DOMAIN VCPU|all CPUS|all", least: 3, most: 3, kind: argDomain,
			short: "choose the CPUs that run a vCPU", run: vcpuPin, text: pinHelp},
		{name: "sched-credit", args: "[[-d] DOMAIN [-w WEIGHT] [-c CAP] | -s [-t MS]]", flags: "d:w:c:st:", most: 1, kind: argDomain,
			short: "show or set weights and caps, or the time slice", run: schedCredit,
			text: "WEIGHT is 1 to 65535 (default 256), CAP is in percent of one CPU, 0 = none. They\ncount at once. -s shows how long a vCPU runs while others wait, -t changes that: 0.5\nto 100 ms, 3.333 at the start."},
		{name: "uptime", args: "[DOMAIN]", most: 1, kind: argDomain, short: "how long domains have been running", run: uptime},
		{name: "top", args: "[-1]", flags: "1", short: "what domains use, every two seconds; q leaves", run: top, text: topHelp},
		{name: "stats", args: "[DOMAIN]", most: 1, kind: argDomain, short: "count exits by reason, and what they cost", run: stats},
	}
}

// hostVerbs are those about the machine.
func hostVerbs() []verb {
	return []verb{
		{name: "trace", args: "[CPU]", most: 1, short: "show the last exits on a CPU", run: trace},
		{name: "files", args: "[FOLDER]", most: 1, kind: argFile, short: "list files, which create can use", run: fileList, text: filesHelp},
		{name: "status", short: "the host at a glance", run: status,
			text: "Health is ok, or what is not: domains that have crashed and are kept, and errors\nand warnings in the hypervisor's log."},
		{name: "info", alias: []string{"nodeinfo"}, short: "describe the host", run: info},
		{name: "pci", alias: []string{"lspci"}, args: "[-v] [-x] [ADDRESS]", flags: "vx", most: 1,
			short: "list the machine's PCI functions", text: pciHelp, run: pciList},
		{name: "disks", args: "[-v]", flags: "v", short: "list the machine's disks; -v with partitions and file systems", run: disks},
		{name: "disk-hash", args: "DISK [START [SIZE]]", least: 1, most: 3, short: "hash what a disk contains", text: diskHashHelp, run: diskHash},
		{name: "disk-speed", args: "[-f] [-s BYTES] [-d DEPTH] [-n COUNT] DISK", flags: "fs:d:n:", least: 1, most: 1, short: "see how long reads or flushes of a disk take", text: diskSpeedHelp, run: diskSpeed},
		{name: "disk-test", args: "[-f] DISK NUMBER MIB", flags: "f", least: 3, most: 3, short: "test a disk, and destroy what is on it", text: diskTestHelp, run: diskTest},
		{name: "dmesg", args: "[DOMAIN]", most: 1, kind: argDomain, short: "print the hypervisor's log, or a domain's", run: dmesg,
			text: "A domain's log is what it wrote to the debug ports 0xe9 and 0x402 and to COM2."},
		{name: "debug-keys", args: "KEYS", least: 1, most: 1, short: "press debug keys of the hypervisor; h is help", run: debugKeys,
			text: "The answer is in the hypervisor's log: see dmesg."},
		{name: "version", short: "print versions", run: version},
		{name: "help", alias: []string{"?"}, args: "[COMMAND]", most: 1, kind: argVerb, short: "this list, or help on a command", run: help},
		{name: "restart", short: "restart the machine at once", run: power(api.Restart), text: powerHelp},
		{name: "poweroff", short: "turn the machine off at once", run: power(api.Off), text: powerHelp},
	}
}

const (
	createHelp = `FILE is a TOML configuration among the boot modules (the command files lists
them); key=value settings change it or stand alone:
  create demo.toml
  create name=g kernel=boot:vmlinuz initrd=boot:i.gz cmdline="console=ttyS0" memory=256MiB
- instead of FILE reads one that you type or paste, up to a line with a dot.
-c attaches the console, and says how far the guest has come if it shows
nothing; -p leaves the domain paused, -n only checks.`
	filesHelp = `Without FOLDER the boot modules. One that is the image of a disk or CD is a folder,
as are its partitions: boot:cd.iso/boot/, boot:usb.imgp1/. FAT, ISO 9660 and ext2,
ext3 and ext4 are read. create takes all these names.`
	shutdownHelp = `Guests that listen to the button (Linux with acpid or systemd) do as their
configuration says. -w waits until the domain has stopped, five minutes at
most; -F destroys or resets one that has not after a minute, or that does not
listen. What happens then is on_poweroff, for reboot on_reboot, of the
domain's configuration.`
	consoleHelp = `Shows the last 64 KiB of output first. Keys go to the guest as they are. Of
its output text, colours and cursor movements pass. With -r all passes from
then on, and the guest may do to this terminal what it likes; what is typed
until the terminal has been reset, or for a second, is ignored. Many may look at a
console, one types: -f takes the keyboard from who has it.
-t hvc is the virtio console of a domain that has hvc = true, any other name one of
its ports ([[port]]): what is not shown of those waits in the guest.`
	vcpuSetHelp = `Of a domain that runs: up to max_vcpus of its configuration, without which its
vCPUs stay. The guest is asked by ACPI, and has ten seconds to start those that
are new and to give back the others; what it has not done is said. A Linux
without udev must be told to start them:
  echo 1 > /sys/devices/system/cpu/cpuN/online
A restart keeps the number. Of a domain that is off the definition is changed.`
	memSetHelp = `Of a domain that is off. One that exists keeps what it was made with: there is no
balloon in this version.`
	pinHelp = `CPUS is a set such as 0-3, 0,2 or 0-3,^1. It counts at once, also for a vCPU that
runs, and is kept in the domain's configuration as cpus, so that a restart has it.`
	topHelp = `Who has had most is first. Ctrl-C leaves too, other keys count at once. -1 shows
all domains once, as top does for who is not at a console. CPU(%) is of one CPU,
since the time before, or since power-on the first time.`
	dumpHelp = `The domain stands still meanwhile. The dump is an ELF core file for gdb and
crash(8), by the guest's physical addresses, kept in dom0's memory: compressed,
without what is zero, one of each domain. It is to be fetched over the network in
a later version. on_crash = "coredump-destroy" or "coredump-restart" makes one of a
domain that crashed.`
	listHelp = `State is one letter per condition: running, blocked (idle), paused, shutdown,
crashed, dying. -a also lists those that are defined and off, -l prints JSON, -v
adds the UUID.`
	defineHelp = `What is defined is listed by list -a, made by start, and stays when the domain
stops. FILE and settings are those of create; defining a name again replaces its
configuration, and with the name of a domain that exists it is that one's.
Definitions are kept in memory: they end with the machine.`
	editHelp = `  edit web1 memory=512MiB vcpus=2
changes settings. Without settings the configuration is shown as it is in a
file, and a whole one is read: type or paste it, then a line with a dot. An empty
one, or Ctrl-C, changes nothing; so does one with a mistake. A domain that runs
is changed when it is started the next time.`
	powerHelp = `Domains are not asked first.`
)

// later are xl's and virsh's verbs that this version does not have: the answer
// to them is not "unknown".
var later = strings.Fields(`save restore migrate snapshot clone mem-max`)

// find returns the verb with a name or alias, nil if there is none.
func find(name string) *verb {
	for i := range verbs {
		v := &verbs[i]
		if v.name == name {
			return v
		}
		for _, a := range v.alias {
			if a == name {
				return v
			}
		}
	}
	return nil
}

// verbNames returns all names and aliases.
func verbNames() []string {
	var names []string
	for i := range verbs {
		names = append(append(names, verbs[i].name), verbs[i].alias...)
	}
	return names
}

func help(c *call) error {
	if len(c.args) == 0 {
		for i := range verbs {
			c.printf("%-15s %s\n", verbs[i].name, verbs[i].short)
		}
		return nil
	}
	v := find(c.args[0])
	if v == nil {
		return unknown(c.args[0])
	}
	c.printf("usage: %s\n%s\n", strings.TrimSpace(v.name+" "+v.args), v.short)
	if v.text != "" {
		c.printf("\n%s\n", v.text)
	}
	if len(v.alias) > 0 {
		c.printf("\nalso called: %s\n", strings.Join(v.alias, ", "))
	}
	return nil
}
