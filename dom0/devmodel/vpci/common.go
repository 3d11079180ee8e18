// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package vpci

import "encoding/binary"

// Registers of the common configuration (VIRTIO 1.2, "Common configuration
// structure layout").
const (
	regFeatureSelect = 0
	regFeature       = 4
	regDriverSelect  = 8
	regDriverFeature = 12
	regConfigVector  = 16
	regNumQueues     = 18
	regStatus        = 20
	regGeneration    = 21
	regQueueSelect   = 22
	regQueueSize     = 24
	regQueueVector   = 26
	regQueueEnable   = 28
	regNotifyOff     = 30
	regQueueDesc     = 32
	regQueueDriver   = 40
	regQueueDevice   = 48
)

// common fills b with what the registers read.
func (d *Device) common(b *[commonLen]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	le := binary.LittleEndian
	le.PutUint32(b[regFeatureSelect:], d.featSel)
	if d.featSel < 2 {
		le.PutUint32(b[regFeature:], uint32((features|d.kind.Features)>>(32*d.featSel)))
	}
	le.PutUint32(b[regDriverSelect:], d.drvSel)
	if d.drvSel < 2 {
		le.PutUint32(b[regDriverFeature:], uint32(d.drvFeat>>(32*d.drvSel)))
	}
	le.PutUint16(b[regConfigVector:], d.configVec)
	le.PutUint16(b[regNumQueues:], uint16(len(d.queues)))
	b[regStatus] = d.status
	b[regGeneration] = d.generation
	le.PutUint16(b[regQueueSelect:], d.queueSel)
	q := d.selected()
	if q == nil {
		return // size 0: there is no such queue
	}
	le.PutUint16(b[regQueueSize:], uint16(q.size))
	le.PutUint16(b[regQueueVector:], q.vector)
	if q.enabled {
		b[regQueueEnable] = 1
	}
	le.PutUint16(b[regNotifyOff:], d.queueSel)
	le.PutUint64(b[regQueueDesc:], q.desc)
	le.PutUint64(b[regQueueDriver:], q.avail)
	le.PutUint64(b[regQueueDevice:], q.used)
}

// selected is the queue that the driver has selected, nil if there is none.
func (d *Device) selected() *queue {
	if int(d.queueSel) < len(d.queues) {
		return &d.queues[d.queueSel]
	}
	return nil
}

// setCommon answers a write. Drivers use the width of each register, and halves
// of the 64-bit ones (VIRTIO 1.2, "Driver Requirements: PCI Device Layout");
// other accesses do nothing.
func (d *Device) setCommon(off uint64, size uint8, val uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case off == regStatus && size == 1:
		d.setStatus(uint8(val))
	case d.resetting:
	case off == regFeatureSelect && size == 4:
		d.featSel = uint32(val)
	case off == regDriverSelect && size == 4:
		d.drvSel = uint32(val)
	case off == regDriverFeature && size == 4:
		d.setFeatures(uint32(val))
	case off == regConfigVector && size == 2:
		d.configVec = d.vector(val)
	case off == regQueueSelect && size == 2:
		d.queueSel = uint16(val)
	default:
		if q := d.selected(); q != nil {
			d.setQueue(q, off, size, val)
		}
	}
}

// vector returns a vector if there is one of that number, else none.
func (d *Device) vector(val uint64) uint16 {
	if val <= uint64(len(d.queues)) {
		return uint16(val)
	}
	return noVector
}

func (d *Device) setFeatures(val uint32) {
	if d.drvSel < 2 && d.status&statusFeaturesOK == 0 {
		shift := 32 * d.drvSel
		d.drvFeat = d.drvFeat&^(0xffff_ffff<<shift) | uint64(val)<<shift
	}
}

// setStatus changes the device status; 0 resets the device. Bits cannot be
// cleared one by one, and those of the device are its own.
func (d *Device) setStatus(val uint8) {
	if val == 0 {
		d.reset()
		return
	}
	if d.resetting {
		return
	}
	set := val &^ statusNeedsReset &^ d.status
	if set&statusFeaturesOK != 0 && (d.drvFeat&^(features|d.kind.Features) != 0 || d.drvFeat&featureVersion1 == 0) {
		set &^= statusFeaturesOK
	}
	if (d.status|set)&statusFeaturesOK == 0 {
		set &^= statusDriverOK
	}
	d.status |= set
	if set&statusDriverOK != 0 {
		d.start()
	}
}

// setQueue changes a register of a queue: none once it is enabled.
func (d *Device) setQueue(q *queue, off uint64, size uint8, val uint64) {
	switch {
	case q.enabled:
	case off == regQueueVector && size == 2:
		q.vector = d.vector(val)
	case off == regQueueSize && size == 2:
		if n := int(val); n > 0 && n&(n-1) == 0 && n <= d.kind.Queues[d.queueSel] {
			q.size = n
		}
	case off == regQueueEnable && size == 2:
		// After DRIVER_OK a queue would need a goroutine that nobody starts.
		q.enabled = val == 1 && d.status&statusDriverOK == 0
	case off >= regQueueDesc && off < commonLen:
		set64(&[...]*uint64{&q.desc, &q.avail, &q.used}, off-regQueueDesc, size, val)
	}
}

// set64 writes a half of a register of 64 bits, or all of it.
func set64(r *[3]*uint64, off uint64, size uint8, val uint64) {
	p := r[off/8]
	switch {
	case size == 8 && off%8 == 0:
		*p = val
	case size == 4 && off%8 == 0:
		*p = *p>>32<<32 | val
	case size == 4 && off%8 == 4:
		*p = *p&0xffff_ffff | val<<32
	}
}

// config reads the device configuration.
func (d *Device) config(off uint64, size uint8) (v uint64) {
	if d.kind.Config == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.kind.Config()
	for i := range uint64(size) {
		if off+i < uint64(len(b)) {
			v |= uint64(b[off+i]) << (8 * i)
		}
	}
	return v
}

// setConfig writes it, as far as the device lets that be done.
func (d *Device) setConfig(off uint64, size uint8, val uint64) {
	if d.kind.SetConfig == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.resetting {
		d.kind.SetConfig(off, size, val)
	}
}
