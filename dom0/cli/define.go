// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"ringo/dom0/api"
)

// typed is the name of a file that is typed: "create -".
const typed = "-"

// paste reads a configuration from the console, up to a line with a dot.
func (c *call) paste() (string, error) {
	p, ok := c.w.(Prompt)
	if !ok {
		return "", errNoPrompt
	}
	c.printf("type or paste a configuration, then a line with a dot; Ctrl-C leaves\n")
	c.flush()
	text, err := p.ReadText("> ", api.MaxText)
	if err == io.EOF {
		err = errors.New("the console ended")
	}
	return text, err
}

var errNoPrompt = errors.New("there is no console here to type a configuration on: name a file, or write key=value")

// source sorts the arguments of create and define, and reads what is typed.
func (c *call) source() (api.Create, error) {
	in := api.Create{Paused: c.given('p'), Watch: c.given('c')}
	for _, a := range c.args {
		switch {
		case strings.Contains(a, "="):
			in.Settings = append(in.Settings, a)
		case in.File != "":
			return in, fmt.Errorf("two files, %s and %s; %w", in.File, a, c.usage())
		default:
			in.File = a
		}
	}
	if in.File != typed {
		return in, nil
	}
	var err error
	in.File = "typed"
	if in.Text, err = c.paste(); err == nil && strings.TrimSpace(in.Text) == "" {
		err = errors.New("nothing was typed")
	}
	return in, err
}

func define(c *call) error {
	in, err := c.source()
	if err != nil {
		return err
	}
	out, err := api.DomainDefine.Call(c.API, in)
	if err == nil {
		c.defined(out)
	}
	return err
}

func (c *call) defined(d api.DefineReply) {
	what := ""
	if d.Again {
		what = " again"
	}
	if d.Active {
		what += ": it counts when the domain is started the next time"
	}
	c.printf("defined %q%s\n", d.Name, what)
}

// edit changes a definition by settings, or shows it and reads another one.
func edit(c *call) error {
	in := api.Edit{Domain: c.args[0], Settings: c.args[1:]}
	if len(in.Settings) == 0 {
		if _, ok := c.w.(Prompt); !ok {
			return errNoPrompt
		}
		old, err := api.DomainText.Call(c.API, c.ref())
		if err != nil {
			return err
		}
		c.printf("%s", old.Text)
		if in.Text, err = c.paste(); err != nil {
			return err
		}
		if strings.TrimSpace(in.Text) == "" {
			c.printf("%q is as it was\n", in.Domain)
			return nil
		}
	}
	out, err := api.DomainEdit.Call(c.API, in)
	if err == nil {
		c.defined(out)
	}
	return err
}

func start(c *call) error {
	if c.given('c') && c.Terminal == nil {
		return errNoTerminal
	}
	d, err := api.DomainStart.Call(c.API, api.Start{Domain: c.args[0], Paused: c.given('p'), Watch: c.given('c')})
	if err != nil {
		return err
	}
	c.printf("started %q (id %d)\n", d.Name, d.ID)
	if c.given('c') {
		return c.show(d.ID, d.Name)
	}
	return nil
}

func autostart(c *call) error {
	out, err := api.DomainAutostart.Call(c.API, api.Autostart{Domain: c.args[0], Off: c.given('d')})
	if err == nil && !out.Lasting && !c.given('d') {
		c.printf("definitions are kept in memory: to start it with the machine, name its file in autostart=FILE on the hypervisor's command line\n")
	}
	return err
}

// resize makes the command that changes a size of a domain.
func resize(key string) func(c *call) error {
	return func(c *call) error {
		_, err := api.DomainResize.Call(c.API, api.Resize{Domain: c.args[0], Key: key, Value: c.args[1]})
		return err
	}
}

// off returns what is defined and does not exist, of the name that an argument is, or
// all.
func (c *call) off() (off []api.Defined, err error) {
	all, err := api.DomainDefined.Call(c.API, api.None{})
	for _, d := range all {
		if !d.Active && (len(c.args) == 0 || d.Name == c.args[0]) {
			off = append(off, d)
		}
	}
	return off, err
}

// rows prints the rows of list for domains that are off.
func (c *call) rows(off []api.Defined, uuid func(string) string) {
	for _, d := range off {
		c.printf("%-40s %5s %5d %5d     %-6s  %8s%s\n", d.Name, "-", mib(d.Config.Memory.Bytes), d.Config.VCPUs, "off", "-", uuid(d.Config.UUID))
	}
}

// persistence describes the definition of a domain, if there is one.
func (c *call) persistence(name string, line func(name, format string, a ...any)) error {
	all, err := api.DomainDefined.Call(c.API, api.None{})
	if err != nil {
		return err
	}
	yes := map[bool]string{true: "yes", false: "no"}
	for _, d := range all {
		if d.Name == name {
			line("Persistent", "yes")
			line("Autostart", "%s", yes[d.Autostart])
			return nil
		}
	}
	line("Persistent", "no")
	return nil
}
