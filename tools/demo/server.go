// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package demo

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ringo/tools/debian"
	"ringo/tools/initramfs/rootfs"
)

// Server is the files of the server: a Debian with systemd on a disk of its own, which
// boots the demo guest's kernel. As boot modules Initrd and Config go by their base names.
type Server struct {
	Disk   string // server.img: a GPT with one partition, the root file system
	Initrd string // server.gz: what loads the drivers and goes on with that
	Config string // server.toml
}

// Modules is the files to give to dom0; the disk is the machine's.
func (s Server) Modules() []string { return []string{s.Initrd, s.Config} }

// ServerLogin is what the server prints when somebody can log in, as root without a
// password; ServerShell is its prompt then.
const (
	ServerLogin = "server login: "
	ServerShell = "root@server:~# "
)

// ServerSize is the size of the disk, in bytes. Less than half is used.
const ServerSize = 384 << 20

// serverConfig is the domain configuration, for the name of the machine's disk.
const serverConfig = `# The server: Debian with systemd, on a disk. Log in as root, without a password.
name = "server"
vcpus = 1
memory = "512MiB"

[boot]
kernel = "boot:vmlinux.lz4"
initrd = "boot:server.gz" # loads drivers, mounts root= and goes on with its /sbin/init
cmdline = "console=ttyS0 quiet root=/dev/vda1"

[[disk]]
device = "%s"
serial = "server"

[[nic]]
network = "default" # an address by DHCP, and the world by NAT
`

// ServerConfig is the domain configuration of the server on a disk of the machine.
func ServerConfig(disk string) string { return fmt.Sprintf(serverConfig, disk) }

// serverDrivers are the modules of the server's initrd beyond the demo guest's.
var serverDrivers = []string{
	"lib/crc16.ko", "crypto/crc32c_generic.ko", "fs/mbcache.ko", "fs/jbd2/jbd2.ko", "fs/ext4/ext4.ko",
}

// serverPackages are what is installed; what they depend on comes by itself.
var serverPackages = []string{
	"base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils", "findutils", "grep", "gzip", "hostname",
	"init-system-helpers", "iproute2", "iputils-ping", "kmod", "libc-bin", "login", "mawk", "mount", "ncurses-base", "passwd",
	"procps", "sed", "tar", "util-linux", "wget",
	"dbus", "e2fsprogs", "systemd-resolved", "systemd-sysv", "udev",
}

type serverFile struct{ name, text string }

// serverFiles are what the server has beside what its packages hold. A value that begins
// with "->" is where a link leads. It asks for an address on its first card.
var serverFiles = []serverFile{
	{"etc/hostname", "server\n"},
	{"etc/hosts", "127.0.0.1 localhost\n127.0.1.1 server\n::1 localhost\n"},
	{"etc/fstab", "/dev/vda1 / ext4 errors=remount-ro 0 1\n"},
	{"etc/machine-id", ""},
	{"etc/resolv.conf", "->../run/systemd/resolve/stub-resolv.conf"},
	{"etc/motd", "\nA Debian in a domain of Ringo. poweroff ends it.\n"},
	{"etc/systemd/network/10-card.network", "[Match]\nType=ether\n\n[Network]\nDHCP=yes\n\n[DHCPv4]\nClientIdentifier=mac\n"},
	// In an emulator on a busy machine all takes longer than anybody would wait.
	{"etc/systemd/system.conf.d/10-patient.conf", "[Manager]\nDefaultTimeoutStartSec=1h\nDefaultTimeoutStopSec=1h\n"},
	{"etc/systemd/system/device.d/10-patient.conf", "[Unit]\nJobRunningTimeoutSec=infinity\n"},
	{"etc/systemd/system/multi-user.target.wants/systemd-networkd.service", "->/lib/systemd/system/systemd-networkd.service"},
	{"etc/systemd/system/sockets.target.wants/systemd-networkd.socket", "->/lib/systemd/system/systemd-networkd.socket"},
}

// serverWithout is what is not unpacked: nobody reads it there.
var serverWithout = []string{
	"/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*", "/usr/share/bash-completion/*",
	"/usr/share/zsh/*", "/usr/share/lintian/*", "/usr/share/common-licenses/*", "/usr/lib/x86_64-linux-gnu/gconv/*",
}

// serverMasked are units that have nothing to do there, and take time: a screen's login,
// modules that there are not, checks of other file systems.
var serverMasked = []string{
	"dev-hugepages.mount", "dev-mqueue.mount", "e2scrub_all.timer", "e2scrub_reap.service", "getty@tty1.service", "modprobe@.service",
	"proc-sys-fs-binfmt_misc.automount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
	"systemd-fsckd.socket", "systemd-modules-load.service", "systemd-pstore.service", "systemd-repart.service", "systemd-sysusers.service",
}

// overlay is serverFiles, and the links that mask units, as an archive.
func overlay() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	files := slices.Clone(serverFiles)
	for _, u := range serverMasked {
		files = append(files, serverFile{"etc/systemd/system/" + u, "->/dev/null"})
	}
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(f.text))}
		if to, ok := strings.CutPrefix(f.text, "->"); ok {
			h = &tar.Header{Name: f.name, Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: to}
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, f.text); err != nil {
				return nil, err
			}
		}
	}
	return b.Bytes(), w.Close()
}

// Server makes the server's files beside the demo guest's, unless they are there. disk is
// the machine's name of the disk. That of Debian is made once: a file beside it says of
// what, and it is made again when that is something else.
func (f Files) Server(log io.Writer, disk string) (Server, error) {
	dir := filepath.Dir(f.Kernel)
	s := Server{
		Disk:   filepath.Join(dir, "server.img"),
		Initrd: filepath.Join(dir, "server.gz"),
		Config: filepath.Join(dir, "server.toml"),
	}
	if err := writeAnew(s.Config, []byte(ServerConfig(disk))); err != nil {
		return s, err
	}
	busybox, err := os.ReadFile(f.Busybox)
	if err != nil {
		return s, err
	}
	modules, err := f.LoadServerModules()
	if err != nil {
		return s, err
	}
	b, err := rootfs.Switch(busybox, modules)
	if err != nil {
		return s, err
	}
	if err := writeAnew(s.Initrd, b); err != nil {
		return s, err
	}
	return s, serverDisk(log, s.Disk)
}

// serverDisk makes the disk, unless it is there and made of the same.
func serverDisk(log io.Writer, dst string) error {
	files, err := overlay()
	if err != nil {
		return err
	}
	d := debian.Disk{Packages: serverPackages, Overlay: files, Size: ServerSize, Without: serverWithout}
	recipe := dst + ".recipe"
	want := fmt.Sprintf("%s %d %q %q %q\n", debian.Suite, d.Size, d.Packages, d.Without, files)
	if got, err := os.ReadFile(recipe); err == nil && string(got) == want {
		if _, err := os.Stat(dst); err == nil {
			return nil
		}
	}
	if err := debian.Ensure(log, "server"); err != nil {
		return err
	}
	if err := debian.Image(log, dst, d); err != nil {
		return err
	}
	return os.WriteFile(recipe, []byte(want), 0o644)
}

// writeAnew writes a file that may be a hard link, or in use.
func writeAnew(name string, b []byte) error {
	os.Remove(name)
	return os.WriteFile(name, b, 0o644)
}
