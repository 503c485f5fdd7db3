// SPDX-License-Identifier: BSD-2-Clause
/*
 * Disk specifications: both forms, and the numbers that Linux's blkfront makes names from.
 * Owns the messages for what is not supported.
 */
#include "test.h"

#include "disk.h"

static void test_good(void **state)
{
	static const struct {
		const char *spec, *target;
		unsigned int devid;
		int readonly;
	} cases[] = {
		{ "/dev/vg/x,raw,xvda,w", "/dev/vg/x", 51712, 0 },
		{ "/dev/vg/x,raw,xvda,rw", "/dev/vg/x", 51712, 0 },
		{ "/x,,xvdb,r", "/x", 51728, 1 },
		{ "/x,raw,xvdb", "/x", 51728, 0 },
		{ " format=raw, vdev=xvda, access=rw, target=/i/d.img", "/i/d.img", 51712, 0 },
		{ "vdev=xvda1,access=ro,target=/a,b=c.img ", "/a,b=c.img", 51713, 1 },
		{ "vdev=sda,devtype=disk,backendtype=phy,discard,target=/x", "/x", 2048, 0 },
		{ "phy:/dev/vg/x,xvda,w", "/dev/vg/x", 51712, 0 },
		{ "file:/x.img,hda,r", "/x.img", 768, 1 },
		{ "tap:aio:/x.img,xvda,w", "/x.img", 51712, 0 },
		{ "vdev=xvda,backend=0,target=/x", "/x", 51712, 0 },
		{ "/with=equals,raw,xvda,w", "/with=equals", 51712, 0 },
		{ "/x,raw,xvda,w,", "/x", 51712, 0 },
	};
	struct xl_disk d;
	char msg[256] = "";
	unsigned int i;

	(void)state;
	for (i = 0; i < count_of(cases); i++) {
		int rc = disk_parse(cases[i].spec, &d, msg, sizeof(msg));

		if (i == count_of(cases) - 1) {
			assert_int_equal(rc, 0);
		} else if (rc) {
			fail_msg("%s: %s", cases[i].spec, msg);
		}
		assert_string_equal(d.target, cases[i].target);
		assert_int_equal(d.devid, cases[i].devid);
		assert_int_equal(d.readonly, cases[i].readonly);
		disk_free(&d);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *spec, *msg;
	} cases[] = {
		{ "", "no target" },
		{ "vdev=xvda", "no target" },
		{ "/x", "no vdev" },
		{ "target=/x", "no vdev" },
		{ "x.img,raw,xvda,w", "target 'x.img' is not an absolute path" },
		{ "/x,qcow3,xvda,w",
		  "format 'qcow3' is not supported, only raw, qcow2, qed, vmdk, vdi or vhd" },
		{ "/x,raw,foo,w",
		  "vdev 'foo' is not a virtual disk (xvda, xvdb1, hda, sda, d0p1, ...)" },
		{ "/x,raw,xvda,x", "access 'x' is none of rw, w, ro, r" },
		{ "/x,raw,xvda,w,extra",
		  "unexpected 'extra' after the four positional parameters" },
		{ "vdev=xvda,vdev=xvdb,target=/x", "vdev given twice" },
		{ "vdev=xvda,backendtype=qdisk,target=/x",
		  "backendtype 'qdisk' is not supported, only phy" },
		{ "vdev=xvda,devtype=lun,target=/x",
		  "devtype 'lun' is not supported, only disk and cdrom" },
		{ "/x,raw,hdc:floppy,r", "devtype 'floppy' is not supported, only disk and cdrom" },
		{ "cdrom,target=/x", "no vdev" },
		{ "vdev=xvda,readonly,access=rw,target=/x", "access given twice" },
		{ "vdev=xvda,script=a,script=b,target=x", "script given twice" },
		{ "vdev=xvda,script=,target=x", "script is empty" },
		{ "vdev=xvda,script=mine,target=", "target is empty" },
		{ "vdev=xvda,scrip=mine,target=/x", "unknown key 'scrip'; did you mean 'script'?" },
		{ "/x,raw,xvda123456789012345678901234567890123,w",
		  "vdev 'xvda123456789012345678901234567890123' is not a virtual disk (xvda, xvdb1, "
		  "hda, sda, d0p1, ...)" },
		{ "vdev=xvda,colour=blue,target=/x", "unknown key 'colour'" },
		{ "vdev=xvda,target=", "target is empty" },
		{ "vdev=xvda,format=qcow2,target=qed:/x", "format given twice" },
		{ "/x,qcow,xvda,w",
		  "format 'qcow' (version 1) is not supported: qemu-img convert -f qcow -O qcow2 makes a qcow2 image of it" },
		{ "tap:qcow:/x,xvda,w",
		  "format 'qcow' (version 1) is not supported: qemu-img convert -f qcow -O qcow2 makes a qcow2 image of it" },
		{ "vdev=xvda,format=qcow2,backing=qcow:/b,target=/x",
		  "format 'qcow' (version 1) is not supported: qemu-img convert -f qcow -O qcow2 makes a qcow2 image of it" },
		{ "vdev=xvda,format=qcow2,script=mine,target=x",
		  "format 'qcow2' and a script: a disk of one's own script is raw" },
		{ "vdev=xvda,format=vhd,backend=store,target=/x",
		  "format 'vhd' and backend: a driver domain's disks are raw" },
		{ "vdev=xvda,backing=/b,target=/x",
		  "backing is for images, and the format is raw" },
		{ "vdev=xvda,format=qcow2,backing=b,target=/x",
		  "backing 'b' is neither an absolute path nor one behind raw, qcow2, qed, vmdk, "
		  "vdi or vhd and a colon" },
		{ "vdev=xvda,format=qcow2,backing=nbd:/b,target=/x",
		  "backing 'nbd:/b' is neither an absolute path nor one behind raw, qcow2, qed, vmdk, vdi or vhd and a colon" },
		{ "vdev=xvda,format=qcow2,backing=,target=/x",
		  "backing '' is neither an absolute path nor one behind raw, qcow2, qed, vmdk, vdi or vhd and a colon" },
		{ "vdev=xvda,format=qcow2,target=x", "target 'x' is not an absolute path" },
		{ "nbd:host:1,xvda,w",
		  "prefix 'nbd:' is none of phy:, file:, raw:, qcow2:, tap:aio:" },
		{ "vdev=xvda,acces=r,target=/x", "unknown key 'acces'; did you mean 'access'?" },
		{ "vdev=xvda,backend=,target=/x", "backend is empty" },
		{ "vdev=xvda,backend=a,backend=b,target=/x", "backend given twice" },
		{ "vdev=xvdc,cdrom,backend=a,target=/x",
		  "a CD drive's media are dom0's; backend is for disks" },
	};
	struct xl_disk d;
	char msg[256];
	unsigned int i;

	(void)state;
	for (i = 0; i < count_of(cases); i++) {
		assert_int_equal(disk_parse(cases[i].spec, &d, msg, sizeof(msg)), -1);
		assert_string_equal(msg, cases[i].msg);
	}
}

/* What each spec means, as disk_format() says it. */
static void test_meaning(void **state)
{
	static const struct {
		const char *spec, *text;
	} cases[] = {
		{ "/x,raw,xvda,w", "format=raw, vdev=xvda, access=rw, target=/x" },
		{ "vdev=xvda,readonly,target=/x", "format=raw, vdev=xvda, access=ro, target=/x" },
		{ "vdev=xvda,no-discard,direct-io-safe,target=/x",
		  "format=raw, vdev=xvda, access=rw, no-discard, direct-io-safe, target=/x" },
		{ "no-discard,discard,/x,raw,xvda", "format=raw, vdev=xvda, access=rw, target=/x" },
		{ "vdev=hdc,devtype=cdrom,access=rw,target=/x.iso",
		  "format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/x.iso" },
		{ "file:/x.iso,hdc:cdrom,r",
		  "format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/x.iso" },
		{ "phy:/x,ioemu:hda,w", "format=raw, vdev=hda, access=rw, target=/x" },
		{ "vdev=hdc,cdrom", "format=raw, vdev=hdc, access=ro, devtype=cdrom, target=" },
		{ "vdev=hdc,cdrom,target=",
		  "format=raw, vdev=hdc, access=ro, devtype=cdrom, target=" },
		{ ",,hdc,r,cdrom", "format=raw, vdev=hdc, access=ro, devtype=cdrom, target=" },
		{ "vdev=xvda,script=block-iscsi,target=iqn.2001-05.com:s,portal=1",
		  "format=raw, vdev=xvda, access=rw, script=block-iscsi, "
		  "target=iqn.2001-05.com:s,portal=1" },
	};
	struct xl_disk d, again;
	char msg[256], *text, *second;
	unsigned int i;

	(void)state;
	for (i = 0; i < count_of(cases); i++) {
		if (disk_parse(cases[i].spec, &d, msg, sizeof(msg)))
			fail_msg("%s: %s", cases[i].spec, msg);
		text = disk_format(&d);
		assert_string_equal(text, cases[i].text);
		/* It is a specification itself, and means the same. */
		assert_int_equal(disk_parse(text, &again, msg, sizeof(msg)), 0);
		second = disk_format(&again);
		assert_string_equal(second, text);
		free(second);
		free(text);
		disk_free(&d);
		disk_free(&again);
	}
}

static void test_devid(void **state)
{
	static const struct {
		const char *vdev;
		int ok;
		unsigned int devid;
	} cases[] = {
		{ "xvda", 1, 0xca00 },
		{ "xvda15", 1, 0xca0f },
		{ "xvdp", 1, 0xcaf0 },
		{ "xvdq", 1, 1u << 28 | 16 << 8 },
		{ "xvdaa", 1, 1u << 28 | 26 << 8 },
		{ "xvda16", 1, 1u << 28 | 16 },
		{ "d0", 1, 0xca00 },
		{ "d2p3", 1, 0xca23 },
		{ "hda", 1, 0x300 },
		{ "hdb1", 1, 0x341 },
		{ "hdc", 1, 0x1600 },
		{ "hde", 0, 0 },
		{ "sda2", 1, 0x802 },
		{ "sdq", 0, 0 },
		{ "51712", 1, 51712 },
		{ "0xca00", 1, 0xca00 },
		{ "xvd", 0, 0 },
		{ "xvda-1", 0, 0 },
		{ "xvda1x", 0, 0 },
		{ "xvdaaaaaaaaaaaaaaaaaa", 0, 0 },
		{ "xvda999999999999", 0, 0 },
		{ "99999999999999999999", 0, 0 },
		{ "", 0, 0 },
	};
	unsigned int i, devid;

	(void)state;
	for (i = 0; i < count_of(cases); i++) {
		devid = 0;
		if (disk_devid(cases[i].vdev, &devid) != (cases[i].ok ? 0 : -1))
			fail_msg("%s", cases[i].vdev);
		if (cases[i].ok)
			assert_int_equal(devid, cases[i].devid);
	}
}

/* Each form of a format, and what xl create -n prints. */
static void test_formats(void **state)
{
	static const struct {
		const char *spec, *printed;
	} cases[] = {
		{ "/x,qcow2,xvda,w", "format=qcow2, vdev=xvda, access=rw, target=/x" },
		{ "tap:qcow2:/x,xvda,r", "format=qcow2, vdev=xvda, access=ro, target=/x" },
		{ "tap2:vhd:/x,xvda,w", "format=vhd, vdev=xvda, access=rw, target=/x" },
		{ "qed:/x,hda,w", "format=qed, vdev=hda, access=rw, target=/x" },
		{ "vdev=xvda,devtype=cdrom,target=qcow2:/a,b",
		  "format=qcow2, vdev=xvda, access=ro, devtype=cdrom, target=/a,b" },
		{ "format=qed,vdev=xvda,target=qed:/x",
		  "format=qed, vdev=xvda, access=rw, target=/x" },
		{ "format=vmdk,vdev=xvda,target=/x",
		  "format=vmdk, vdev=xvda, access=rw, target=/x" },
		{ "format=vdi,vdev=xvda,no-discard,target=/x",
		  "format=vdi, vdev=xvda, access=rw, no-discard, target=/x" },
		{ "format=qcow2,backing=/b,backing=raw:/c,vdev=xvda,target=/x",
		  "format=qcow2, vdev=xvda, access=rw, backing=/b, backing=raw:/c, target=/x" },
		{ "format=raw,vdev=xvda,target=/x", "format=raw, vdev=xvda, access=rw, target=/x" },
		{ "format=,vdev=xvda,target=raw:/x",
		  "format=raw, vdev=xvda, access=rw, target=/x" },
	};
	struct xl_disk d;
	char msg[256], *text;
	unsigned int i;

	(void)state;
	for (i = 0; i < count_of(cases); i++) {
		if (disk_parse(cases[i].spec, &d, msg, sizeof(msg)))
			fail_msg("%s: %s", cases[i].spec, msg);
		text = disk_format(&d);
		assert_string_equal(text, cases[i].printed);
		free(text);
		disk_free(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	cmocka_unit_test(test_bad),
		cmocka_unit_test(test_formats), cmocka_unit_test(test_meaning),
		cmocka_unit_test(test_devid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
