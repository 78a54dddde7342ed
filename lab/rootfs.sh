# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Pieces of an initramfs, for the scripts that make one: they source this file, and have a
# function fail() that takes a sentence.

is_elf() { # FILE
	[ -f "$1" ] && [ "$(head -c 4 "$1" | od -An -tx1 | tr -d ' ')" = 7f454c46 ]
}

# Copies the libraries of one program, to the paths where its loader looks for them.
add_libraries() { # ROOT FILE
	local root=$1 said path
	said=$(ldd "$2" 2>/dev/null) || return 0 # a static one
	! grep -q 'not found' <<<"$said" || fail "a library of '$2' is not found here, see ldd"
	while read -r path; do
		[ ! -e "$root$path" ] || continue
		mkdir -p "$root${path%/*}"
		cp -L "$path" "$root$path"
	done < <(grep -o '/[^ ]*' <<<"$said")
}

# Copies a file or directory, with the libraries of the programs in it. DIR is where it comes to
# lie when SRC names no DEST.
add_file() { # ROOT DIR SRC[:DEST]
	local root=$1 src=${3%%:*} dest='' program
	[ "$src" = "$3" ] || dest=${3#*:}
	[ -e "$src" ] || fail "the file '$src' does not exist"
	: "${dest:=$2/$(basename "$src")}"
	[[ $dest == /* && /$dest/ != */../* ]] ||
		fail "'$dest' is not an absolute path without '..'"
	mkdir -p "$root${dest%/*}"
	cp -rLT --preserve=mode "$src" "$root$dest"
	while IFS= read -r -d '' program; do
		! is_elf "$program" || add_libraries "$root" "$program"
	done < <(find "$src" -follow -type f \( -perm -u+x -o -name '*.so*' \) -print0)
}

# Busybox and a link for each of its applets, but those that are there as programs.
add_busybox() { # ROOT
	local root=$1 busybox applet
	busybox=$(command -v busybox) || fail "busybox is missing; lab/setup.sh lab installs it"
	mkdir -p "$root/bin"
	cp "$busybox" "$root/bin/busybox"
	"$busybox" --list | while read -r applet; do
		[ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
	done
}

# An archive as the kernel unpacks it; it unpacks several one after the other.
pack() { # ROOT FILE
	(cd "$1" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$2"
}
