// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package mb

// splitFile divides a command line into the word that names the file, "" if
// there is none, and the rest. The rules are those of [Info.Image].
func splitFile(loader, s string) (file, rest string) {
	word, tail := cutWord(s)
	if keepsFile(loader) || isPath(word) {
		return word, tail
	}
	return "", trim(s)
}

// splitModule divides the string of a module by the rules of [Info.Modules].
func splitModule(loader, s string) (file, name, args string) {
	file, args = splitFile(loader, s)
	if word, tail := cutWord(args); word != "" && indexByte(word, '=') < 0 && indexByte(word, '/') < 0 {
		return file, word, tail
	}
	return file, baseName(file), args
}

// keepsFile reports whether the loader puts the file's path or URL in front of
// every string. QEMU 7.2 (hw/i386/multiboot.c) calls itself "qemu", iPXE
// "iPXE VERSION".
func keepsFile(loader string) bool {
	word, _ := cutWord(loader)
	return word == "qemu" || word == "iPXE" || word == "gPXE"
}

func isPath(word string) bool {
	slash, equals := indexByte(word, '/'), indexByte(word, '=')
	return slash >= 0 && (equals < 0 || slash < equals)
}

// baseName returns the last element of a path or URL.
func baseName(file string) string {
	if isURL(file) {
		for _, end := range [...]byte{'#', '?'} {
			if n := indexByte(file, end); n >= 0 {
				file = file[:n]
			}
		}
		return unescape(lastElement(file))
	}
	return lastElement(file)
}

func isURL(file string) bool {
	n := indexByte(file, ':')
	return n > 0 && len(file) >= n+3 && file[n+1] == '/' && file[n+2] == '/'
}

func lastElement(file string) string {
	for n := len(file); n > 0; n-- {
		if file[n-1] == '/' {
			return file[n:]
		}
	}
	return file
}

// unescape decodes the %xx of a URL. What is not two hexadecimal digits stays,
// and so does what would decode to a '/' or a control character.
func unescape(s string) string {
	if indexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for n := 0; n < len(s); n++ {
		if s[n] == '%' && n+2 < len(s) {
			hi, lo := digit(s[n+1]), digit(s[n+2])
			c := hi<<4 | lo
			if hi < 16 && lo < 16 && c > ' ' && c != '/' && c != 0x7f {
				b = append(b, c)
				n += 2
				continue
			}
		}
		b = append(b, s[n])
	}
	return string(b)
}

func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// cutWord returns the first word of s and what follows it, both without the
// blanks around them.
func cutWord(s string) (word, rest string) {
	s = trim(s)
	for n := 0; n < len(s); n++ {
		if blank(s[n]) {
			return s[:n], trim(s[n:])
		}
	}
	return s, ""
}

func trim(s string) string {
	for len(s) > 0 && blank(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && blank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func indexByte(s string, c byte) int {
	for n := 0; n < len(s); n++ {
		if s[n] == c {
			return n
		}
	}
	return -1
}
