// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"io"
	"sync"
)

// Cache keeps decompressed kernels, so that a second guest of the same kernel
// starts at once. Empty pages, half of a distribution's kernel, take no room. A
// nil Cache keeps nothing. It is safe for concurrent use.
type Cache struct {
	limit int64

	mu   sync.Mutex
	used int64
	list []cached // least recently used first
}

type cached struct {
	key  cacheKey
	data *sparse
}

// cacheKey identifies the content of a boot module: it does not change while
// dom0 runs.
type cacheKey struct {
	name string
	size int64
}

// NewCache returns a cache of at most limit bytes.
func NewCache(limit int64) *Cache { return &Cache{limit: limit} }

// Drop forgets everything.
func (c *Cache) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list, c.used = nil, 0
}

func (s Source) key() cacheKey { return cacheKey{s.Name, s.Size} }

// get returns a reader of the kept image of s, or nil.
func (c *Cache) get(s Source) io.ReadSeeker {
	if c == nil || !s.Constant {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.list {
		if e.key == s.key() {
			c.list = append(append(c.list[:i:i], c.list[i+1:]...), e)
			return io.NewSectionReader(e.data, 0, e.data.size())
		}
	}
	return nil
}

// buffer returns where to collect an image, or nil when it would not be kept.
func (c *Cache) buffer(s Source) *sparse {
	if c == nil || !s.Constant {
		return nil
	}
	return &sparse{limit: c.limit}
}

// put keeps a complete image, and drops others to stay within the limit.
func (c *Cache) put(s Source, b *sparse) {
	if b == nil || b.full {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.list {
		if e.key == s.key() { // two requests at once
			c.used -= e.data.used
			c.list = append(c.list[:i:i], c.list[i+1:]...)
			break
		}
	}
	for c.used+b.used > c.limit {
		c.used -= c.list[0].data.used
		c.list = c.list[1:]
	}
	c.used += b.used
	c.list = append(c.list, cached{s.key(), b})
}
