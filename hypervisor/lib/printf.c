/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatted printing and number parsing; shared by the hypervisor and the host builds of core/.
 */
#include <lib.h>

size_t pv_strlcpy(char *dst, const char *src, size_t size)
{
	size_t n;

	if (!size)
		return 0;
	n = strnlen(src, size - 1);
	memcpy(dst, src, n);
	dst[n] = '\0';
	return n;
}

u64 parse_size(const char *s, const char **end)
{
	unsigned int base = 10;
	u64 v = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	for (;; s++) {
		unsigned int digit;

		if (*s >= '0' && *s <= '9')
			digit = *s - '0';
		else if (base == 16 && (*s | 32) >= 'a' && (*s | 32) <= 'f')
			digit = (*s | 32) - 'a' + 10;
		else
			break;
		v = v * base + digit;
	}
	switch (*s | 32) {
	case 'g':
		v <<= 10; /* fall through */
	case 'm':
		v <<= 10; /* fall through */
	case 'k':
		v <<= 10;
		s++;
	}
	if (end)
		*end = s;
	return v;
}

struct out {
	char *buf;
	size_t size, len;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

struct spec {
	bool left, zero, plus;
	int width, precision; /* precision -1: none given */
};

static void pad(struct out *o, int n, char c)
{
	while (n-- > 0)
		put(o, c);
}

static void put_number(struct out *o, const struct spec *s, u64 v, unsigned int base, bool negative,
		       bool upper, const char *prefix)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char tmp[24];
	int n = 0, len;

	do {
		tmp[n++] = digits[v % base];
		v /= base;
	} while (v);
	len = max(n, s->precision) + (int)strlen(prefix) + (negative || s->plus);
	if (!s->left && !(s->zero && s->precision < 0))
		pad(o, s->width - len, ' ');
	if (negative)
		put(o, '-');
	else if (s->plus)
		put(o, '+');
	while (*prefix)
		put(o, *prefix++);
	if (!s->left && s->zero && s->precision < 0)
		pad(o, s->width - len, '0');
	pad(o, s->precision - n, '0');
	while (n)
		put(o, tmp[--n]);
	if (s->left)
		pad(o, s->width - len, ' ');
}

static void put_string(struct out *o, const struct spec *s, const char *str)
{
	size_t len;

	if (!str)
		str = "(null)";
	len = s->precision >= 0 ? strnlen(str, s->precision) : strlen(str);
	if (!s->left)
		pad(o, s->width - (int)len, ' ');
	for (size_t i = 0; i < len; i++)
		put(o, str[i]);
	if (s->left)
		pad(o, s->width - (int)len, ' ');
}

/* The flags, width and precision behind a '%'; returns what follows them. */
static const char *parse_spec(const char *f, struct spec *s, va_list *ap)
{
	*s = (struct spec){ .precision = -1 };
	for (;; f++) {
		if (*f == '-')
			s->left = true;
		else if (*f == '0')
			s->zero = true;
		else if (*f == '+')
			s->plus = true;
		else
			break;
	}
	if (*f == '*') {
		s->width = va_arg(*ap, int);
		f++;
	} else {
		while (*f >= '0' && *f <= '9')
			s->width = s->width * 10 + *f++ - '0';
	}
	if (*f == '.') {
		s->precision = 0;
		f++;
		if (*f == '*') {
			s->precision = va_arg(*ap, int);
			f++;
		} else {
			while (*f >= '0' && *f <= '9')
				s->precision = s->precision * 10 + *f++ - '0';
		}
	}
	return f;
}

static u64 fetch(va_list *ap, int size, bool is_signed)
{
	u64 v = size >= 1 ? va_arg(*ap, u64) :
		is_signed ? (u64)(s64)va_arg(*ap, int) :
			    va_arg(*ap, u32);

	if (size == -1)
		v = is_signed ? (u64)(short)v : (u16)v;
	else if (size == -2)
		v = is_signed ? (u64)(signed char)v : (u8)v;
	return v;
}

int pv_vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out o = { buf, size, 0 };
	struct spec s;
	va_list ap;
	int len;
	u64 v;

	va_copy(ap, args);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		fmt = parse_spec(fmt + 1, &s, &ap);
		for (len = 0; *fmt == 'l' || *fmt == 'z' || *fmt == 'h'; fmt++)
			len += *fmt == 'h' ? -1 : 1;
		switch (*fmt) {
		case 'd':
		case 'i':
			v = fetch(&ap, len, true);
			put_number(&o, &s, (s64)v < 0 ? -v : v, 10, (s64)v < 0, false, "");
			break;
		case 'u':
			put_number(&o, &s, fetch(&ap, len, false), 10, false, false, "");
			break;
		case 'x':
		case 'X':
			put_number(&o, &s, fetch(&ap, len, false), 16, false, *fmt == 'X', "");
			break;
		case 'p':
			put_number(&o, &s, (uintptr_t)va_arg(ap, void *), 16, false, false, "0x");
			break;
		case 'c':
			put(&o, va_arg(ap, int));
			break;
		case 's':
			put_string(&o, &s, va_arg(ap, const char *));
			break;
		case '\0':
			fmt--;
			break;
		default:
			put(&o, *fmt);
		}
	}
	va_end(ap);
	if (size)
		buf[min(o.len, size - 1)] = '\0';
	return o.len;
}

int pv_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = pv_vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
