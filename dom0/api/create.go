// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package api

import (
	"fmt"
	"strings"

	"ringo/dom0/config"
	"ringo/dom0/problem"
)

// Create is a request for a domain: a configuration file among the boot modules,
// settings that change it or stand alone, or both.
type Create struct {
	File     string   `json:"file,omitempty"`
	Text     string   `json:"text,omitempty"`     // what the file says, where File is only its name
	Settings []string `json:"settings,omitempty"` // "key=value"
	Paused   bool     `json:"paused,omitempty"`
	// Watch says that somebody looks at its console: if nothing comes, the host console
	// says how far the domain has come.
	Watch bool `json:"watch,omitempty"`
}

// Created is a domain that was made.
type Created struct {
	ID   uint32 `json:"id"`
	Name string `json:"name"`
}

// Verbs that make domains.
var (
	DomainCreate = add("domain.create", func(a *API, in *Create) (Created, error) {
		c, err := a.configuration(in)
		if err != nil {
			return Created{}, err
		}
		id, err := a.Manager.Create(c, in.Paused)
		if err == nil && in.Watch {
			a.Manager.Watch(id)
		}
		return Created{id, c.Name}, err
	})
	// DomainCheck does everything that DomainCreate does before it makes the domain.
	DomainCheck = add("domain.check", func(a *API, in *Create) (Config, error) {
		c, err := a.configuration(in)
		if err != nil {
			return Config{}, err
		}
		return *c, a.Manager.Check(c)
	})
)

// configuration reads the file and applies the settings.
func (a *API) configuration(in *Create) (*config.Config, error) {
	c := config.Default()
	if in.File != "" {
		data, err := []byte(in.Text), error(nil)
		if in.Text == "" {
			data, err = a.Manager.ReadConfig(in.File)
		}
		if err != nil {
			return nil, err
		}
		if c, err = config.Parse(in.File, data); err != nil {
			return nil, problem.Of(problem.Invalid, err)
		}
	}
	if err := set(c, in.Settings); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		if in.File != "" {
			err = fmt.Errorf("%s: %w", in.File, err)
		}
		return nil, problem.Of(problem.Invalid, err)
	}
	return c, nil
}

// set applies settings to a configuration.
func set(c *config.Config, settings []string) error {
	for _, s := range settings {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return problem.New(problem.Invalid, "write key=value", "%q is not a setting", s)
		}
		if err := c.Set(key, value); err != nil {
			return problem.Of(problem.Invalid, err)
		}
	}
	return nil
}
