// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpci

// Changed tells the driver, if there is one, that the device configuration is another one
// (VIRTIO 1.2, "Device Configuration Space").
func (d *Device) Changed() {
	d.mu.Lock()
	d.generation++
	ok, vector := d.status&statusDriverOK != 0, d.configVec
	d.mu.Unlock()
	if ok {
		d.interrupt(isrConfig, vector)
	}
}
