// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"ringo/dom0/config"
	"ringo/dom0/problem"
)

// Defined is a domain whose configuration is kept.
type Defined struct {
	Name      string `json:"name"`
	Active    bool   `json:"active"` // the domain exists
	Autostart bool   `json:"autostart"`
	Config    Config `json:"config"` // that counts when it is started the next time
}

// DefineReply says what became of a configuration.
type DefineReply struct {
	Name   string `json:"name"`
	Again  bool   `json:"again"`  // in place of another one
	Active bool   `json:"active"` // the domain exists: it counts at its next start
}

// Start is a request to make the domain of a definition.
type Start struct {
	Domain string `json:"domain"`
	Paused bool   `json:"paused,omitempty"`
	Watch  bool   `json:"watch,omitempty"` // as that of Create
}

// Autostart is a request to start a defined domain with the machine, or not to.
type Autostart struct {
	Domain string `json:"domain"`
	Off    bool   `json:"off,omitempty"`
}

// Lasting says whether something is known after the machine was switched off.
type Lasting struct {
	Lasting bool `json:"lasting"`
}

// Edit is a request to change a definition: by settings, or by a whole configuration.
type Edit struct {
	Domain   string   `json:"domain"`
	Settings []string `json:"settings,omitempty"` // "key=value"
	Text     string   `json:"text,omitempty"`     // TOML
}

// Resize is a request for another number of vCPUs or amount of memory.
type Resize struct {
	Domain string `json:"domain"`
	Key    string `json:"key"`   // vcpus or memory
	Value  string `json:"value"` // as in a setting
}

// TOML is a configuration as text.
type TOML struct {
	Text string `json:"text"`
}

// MaxText is the longest configuration, in bytes.
const MaxText = config.MaxFile

// Verbs of definitions.
var (
	DomainDefine = add("domain.define", func(a *API, in *Create) (DefineReply, error) {
		c, err := a.configuration(in)
		if err != nil {
			return DefineReply{}, err
		}
		return a.define(c)
	})
	DomainUndefine  = act("domain.undefine", func(a *API, in *Ref) error { return a.Manager.Undefine(in.Domain) })
	DomainAutostart = add("domain.autostart", func(a *API, in *Autostart) (Lasting, error) {
		lasting, err := a.Manager.SetAutostart(in.Domain, !in.Off)
		return Lasting{lasting}, err
	})
	DomainStart = add("domain.start", func(a *API, in *Start) (Created, error) {
		id, err := a.Manager.Start(in.Domain, in.Paused)
		if err == nil && in.Watch {
			a.Manager.Watch(id)
		}
		return Created{id, in.Domain}, err
	})
	DomainResize = act("domain.resize", func(a *API, in *Resize) error {
		if in.Key != "vcpus" && in.Key != "memory" {
			return problem.New(problem.Invalid, "use vcpus or memory", "%q is not a size", in.Key)
		}
		return a.Manager.Resize(in.Domain, in.Key, in.Value)
	})
	DomainEdit = add("domain.edit", edit)
	// DomainText is the definition of a domain as DomainEdit takes it.
	DomainText = add("domain.text", func(a *API, in *Ref) (TOML, error) {
		d, err := a.Manager.Definition(in.Domain)
		if err != nil {
			return TOML{}, err
		}
		b, err := d.Config.TOML()
		return TOML{string(b)}, err
	})
	// DomainDefined lists what is defined, by name.
	DomainDefined = add("domain.defined", func(a *API, _ *None) ([]Defined, error) {
		all, err := a.Manager.Definitions()
		out := make([]Defined, len(all))
		for i, d := range all {
			_, err := a.Manager.Find(d.Config.Name)
			out[i] = Defined{Name: d.Config.Name, Active: err == nil, Autostart: d.Autostart, Config: *d.Config}
		}
		return out, err
	})
)

func (a *API) define(c *config.Config) (DefineReply, error) {
	again, err := a.Manager.Define(c)
	if err != nil {
		return DefineReply{}, err
	}
	_, err = a.Manager.Find(c.Name)
	return DefineReply{Name: c.Name, Again: again, Active: err == nil}, nil
}

func edit(a *API, in *Edit) (DefineReply, error) {
	d, err := a.Manager.Definition(in.Domain)
	if err != nil {
		return DefineReply{}, err
	}
	c := *d.Config
	if in.Text != "" {
		whole, err := config.Parse(in.Domain, []byte(in.Text))
		if err != nil {
			return DefineReply{}, problem.Of(problem.Invalid, err)
		}
		c = *whole
	}
	if err := set(&c, in.Settings); err != nil {
		return DefineReply{}, err
	}
	if c.Name != in.Domain {
		return DefineReply{}, problem.New(problem.Invalid, "use rename", "edit does not change the name, %q to %q", in.Domain, c.Name)
	}
	return a.define(&c)
}
