// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"ringo/dom0/config"
	"ringo/dom0/problem"
	"ringo/hv/abi"
)

// recordVersion is that of the record's format; records of another version are
// left alone.
const recordVersion = 1

// record is what the hypervisor keeps with a domain for the toolstack.
type record struct {
	Version int            `json:"v"`
	Started time.Time      `json:"started"`
	Config  *config.Config `json:"config"`
	// Generation is as the domain was told it last.
	Generation generation `json:"generation"`
}

// fits reports whether there is room for the record of a domain with another
// configuration.
func (d *dom) fits(c *config.Config) error {
	_, err := encode(&dom{started: d.started, cfg: c, generation: d.generation})
	return err
}

// encode makes the record of a domain.
func encode(d *dom) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(record{recordVersion, d.started.UTC(), d.cfg, d.generation}); err != nil {
		return nil, err
	}
	if b.Len() > abi.RecordLen {
		return nil, problem.New(problem.Invalid, "shorten cmdline, or have fewer or shorter rules, disks and cards", "the configuration is too large to store: %d bytes, at most %d", b.Len(), abi.RecordLen)
	}
	return b.Bytes(), nil
}

// decode reads a record. The configuration is not validated: the domain runs.
func decode(b []byte) (record, error) {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("its record is damaged: %w", err)
	}
	if r.Version != recordVersion || r.Config == nil {
		return r, fmt.Errorf("its record has version %d, this toolstack knows %d", r.Version, recordVersion)
	}
	return r, nil
}
