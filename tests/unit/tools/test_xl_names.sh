#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Names are not given twice, whatever is noted of them (names.c). Usage: test_xl_names.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

# named NAME: has a domain of this name been noted?
named() { ls run/names | grep -q -- "^$(xl domid "$1")-[0-9a-f]*-$1\$"; }

check "create a" xl create -q a.cfg
says 1 "a domain called 'a' exists already" xl create a.cfg
check "its name is noted" named a
says 1 "a domain called 'a' exists already" xl create a.cfg
check "create b" xl create -q b.cfg
says 1 "a domain called 'a' exists already" xl rename b a
says 1 "a domain called 'b' exists already" xl create b.cfg
check "b's is noted, too" named b
check "rename" xl rename b c
says 1 "a domain called 'c' exists already" xl create -q b.cfg name=c
check "what b was called is free" xl create -q b.cfg "vif=[]" "disk=[]"
says 1 "a domain called 'b' exists already" xl rename c b
check "back" xl rename a d
check "and what a was called" xl create -q a.cfg "vif=[]" "disk=[]"
for n in a b c d; do says 1 "a domain called '$n' exists already" xl create b.cfg "name='$n'"; done

# What is noted is nobody's, of another life, or no note at all.
handle=$(ls run/names | sed -n "s/^$(xl domid a)-\([0-9a-f]*\)-a\$/\1/p")
check "a handle has 32 digits" [ ${#handle} = 32 ]
mkdir "run/names/4711-$handle-x"
mkdir "run/names/$(xl domid a)-$(echo "$handle" | tr 0-9a-f 1-9a-f0)-x"
: >"run/names/99999999999999999999-$handle-x"
: >run/names/junk
: >run/names/-
: >"run/names/$(xl domid a)-"
says 1 "a domain called 'a' exists already" xl create b.cfg "name='a'"
check "and goes" [ "$(ls run/names | wc -l)" = "$(xl list | tail -n +2 | wc -l)" ]
: >"run/names/$(xl domid b)-0$handle-x"
rm -r run/names/*-d
mkdir "run/names/$(xl domid d)-$(xl vm-list | awk '$3 == "d" { print $1 }' | tr -d -)-wrong"
check "a wrong note takes nobody's name" xl create -q b.cfg "name='wrong'" "vif=[]" "disk=[]"
# What is wrong is found when it is met, and so is whoever it was told of.
says 1 "a domain called 'd' exists already" xl create b.cfg "name='d'"
rm -r run/names
for n in a b c d wrong; do says 1 "a domain called '$n' exists already" xl create b.cfg "name='$n'"; done
: >run/no-directory
rm -r run/names
ln -s no-directory run/names
says 1 "a domain called 'c' exists already" xl create b.cfg "name='c'"
check "where nothing can be noted guests are made, too" xl create -q b.cfg "name='e'" "vif=[]" "disk=[]"
rm run/names run/no-directory
for n in a b c d wrong; do says 1 "a domain called '$n' exists already" xl create b.cfg "name='$n'"; done

# Each note is one of a domain, and each domain has its own: what changed by hand is seen by its number.
notes() { for n in $(xl list | awk 'NR > 1 { print $1 }'); do named "$n" && [ -d "run/names-taken/$n" ] || return 1; done; }
counted() { notes && for d in names names-taken; do [ "$(ls run/$d | wc -l)" = "$(xl list | tail -n +2 | wc -l)" ] || return 1; done; }
check "a guest is made" xl create -q b.cfg "name='f'" "vif=[]" "disk=[]"
check "all are noted" counted
check "whose name is taken is noted before it is given" [ -d run/names-taken/f ]
rmdir run/names-taken/e run/names/*-e
says 1 "a domain called 'e' exists already" xl create b.cfg "name='e'"
rmdir run/names-taken/e
says 1 "a domain called 'e' exists already" xl create b.cfg "name='e'"
rm -r run/names-taken
says 1 "a domain called 'c' exists already" xl create b.cfg "name='c'"
xl destroy f
check "who goes takes its notes along" [ ! -e run/names-taken/f ]
check "and its name is free" xl create -q b.cfg "name='f'" "vif=[]" "disk=[]"
check "all are noted again" counted
# Somebody was killed who renamed it: it has two notes.
mkdir "run/names/$(xl domid f)-$(xl vm-list | awk '$3 == "f" { print $1 }' | tr -d -)-g" run/names-taken/g
says 1 "a domain called 'f' exists already" xl create b.cfg "name='f'"
check "what it is not called is free" xl create -q b.cfg "name='g'" "vif=[]" "disk=[]"
says 1 "a domain called 'g' exists already" xl create b.cfg "name='g'"
xenstore-write "/local/domain/$(xl domid g)/name" "odd name"
for n in a b; do says 1 "a domain called '$n' exists already" xl create b.cfg "name='$n'"; done
xl destroy "odd name"
check "whoever was renamed by hand and went" xl create -q b.cfg "name='h'" "vif=[]" "disk=[]"
check "all are noted in the end" counted
# Whoever destroys it is killed half-way: what is left of it has its name, however many notes there are of nobody.
printf '#!/bin/sh\n[ "$1 $(ls hold)" != "offline hold" ] || { : >held; exec sleep 100; }\nexec sh scripts/vif-bridge "$@"\n' >scripts/slow
sed -i "s|hold\\b|$root/&|g; s|>held|>$root/held|; s|scripts/vif|$root/&|" scripts/slow
chmod +x scripts/slow
check "one whose interface takes long to go" xl create -q b.cfg "name='half'" "vif=['mac=00:16:3e:77:03:00,script=$root/scripts/slow']" "disk=[]"
: >hold
"$out/fake-xl" destroy half >output 2>&1 &
killed=$!
check "it is about to go" wait_for [ -e held ]
kill -9 $killed
rm hold
check "its name is noted" named half
mkdir "run/names/4711-$handle-nobody" run/names-taken/nobody
check "another goes meanwhile" xl destroy h
says 1 "a domain called 'half' exists already" xl create b.cfg "name='half'" "vif=[]" "disk=[]"
check "it goes" xl destroy half
check "its name is free" xl create -q b.cfg "name='half'" "vif=[]" "disk=[]"
check "all are noted, and nobody else" counted
# Two at once: one of them is.
"$out/fake-xl" create -q b.cfg "name='twin'" "vif=[]" "disk=[]" >first 2>&1 &
one=$!
"$out/fake-xl" create -q b.cfg "name='twin'" "vif=[]" "disk=[]" >second 2>&1 &
two=$!
wait $one
one=$?
wait $two
check "of two of one name one is made" [ $((one + $?)) = 1 ]
check "the other is told so" grep -q "a domain called 'twin' exists already" first second
check "and one is there" [ "$(xl list | grep -c '^twin ')" = 1 ]
for n in a b c d e f half twin wrong; do xl destroy $n; done
check "only domain 0's are left" [ "$(ls run/names-taken)" = Domain-0 ]
check "nothing is left" clean

end_of_cases
