#!/bin/sh
# SPDX-FileCopyrightText: The Ringo Authors
# SPDX-License-Identifier: BSD-3-Clause
#
# Process 1 of a guest that has its system on a disk: loads what finds that, and goes on
# with it.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for m in @MODULES@; do
	insmod /lib/$m
done
root=/dev/vda1
init=/sbin/init
for w in $(cat /proc/cmdline); do
	case $w in
	root=*) root=${w#root=} ;;
	init=*) init=${w#init=} ;;
	esac
done
mkdir -p /new
if mount -o ro $root /new; then
	mount -o move /proc /new/proc
	mount -o move /sys /new/sys
	mount -o move /dev /new/dev
	exec switch_root /new $init
fi
echo "no root file system on $root; the disks are:"
cat /proc/partitions
exec setsid cttyhack sh -l
