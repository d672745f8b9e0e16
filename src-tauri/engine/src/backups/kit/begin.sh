#!/bin/sh
# Restores this backup without Liftlock, into new databases and folders. Nothing that is there is touched.
#
#   sh restore.sh [FOLDER]
#
# FOLDER is where files are restored to; the home folder otherwise. Databases are restored to the server that
# PostgreSQL's own variables name (PGHOST, PGPORT, PGUSER, PGPASSFILE), else to the one on this computer.
set -u
export PGCLIENTENCODING=UTF8
cd "$(dirname "$0")" || exit 1
into=${1:-${HOME:-.}}

stop() {
    echo "Stopped: $1" >&2
    echo "Nothing that was there before has been touched." >&2
    exit 1
}
need() {
    command -v "$1" >/dev/null 2>&1 || stop "$1 is missing. Install $2, or put its programs into PATH, then run this again."
}

need gunzip gzip
need tar tar
echo "Checking that the backup is as it was written …"
if command -v sha256sum >/dev/null 2>&1; then
    sha256sum -c SHA256SUMS >/dev/null || stop "a file is damaged or missing. Use another copy of this backup."
elif command -v shasum >/dev/null 2>&1; then
    shasum -a 256 -c SHA256SUMS >/dev/null || stop "a file is damaged or missing. Use another copy of this backup."
else
    stop "neither sha256sum nor shasum is here, so the backup cannot be checked."
fi

# What an encrypted file holds, and any other file unpacked. age asks for the passphrase, or takes the secret key from
# the file that AGE_KEY names.
unpack() {
    case $1 in
    *.age)
        if [ -n "${AGE_KEY:-}" ]; then age --decrypt --identity "$AGE_KEY" "./$1"; else age --decrypt "./$1"; fi | gunzip -c
        ;;
    *) gunzip -c "$1" ;;
    esac
}

# store, file, new database, encoding, options of its locale; the comparison of rows comes on standard input.
restore_database() {
    store=$1 file=$2 database=$3 encoding=$4
    shift 4
    need createdb PostgreSQL
    need pg_restore PostgreSQL
    need psql PostgreSQL
    echo "Restoring $store into the new database $database …"
    # The old locale where this system has it, else the server's own: that changes sorting, and no row.
    createdb --template=template0 --encoding="$encoding" "$@" -- "$database" 2>/dev/null ||
        createdb --template=template0 --encoding="$encoding" -- "$database" ||
        stop "the database $database could not be created. If there is one of that name already, rename it first."
    unpack "$file" | pg_restore --exit-on-error --no-owner --no-privileges --dbname="$database" ||
        stop "$file could not be restored. What is in $database is not whole; drop that database."
    differs=$(psql -X -q -A -t -v ON_ERROR_STOP=1 --dbname="$database") || stop "the rows in $database could not be counted."
    [ -z "$differs" ] || stop "these tables in $database do not have the rows that were backed up: $differs"
    echo "  restored, and every table has the rows that were backed up."
}

# store, file
restore_file() {
    target="$into/$1.sqlite"
    [ ! -e "$target" ] || stop "$target is there already. Move it away, or name another folder."
    echo "Restoring $1 to $target …"
    mkdir -p "$into" && unpack "$2" >"$target.part" && mv "$target.part" "$target" || stop "$2 could not be restored."
}

# store, file
restore_folder() {
    target="$into/$1_restored"
    [ ! -e "$target" ] || stop "$target is there already. Move it away, or name another folder."
    echo "Restoring $1 to $target …"
    # A pipe says only how its last part ended, and some programs called tar are content with nothing at all.
    broken="$target.broken"
    mkdir -p "$target" && { unpack "$2" || : >"$broken"; } | tar -xf - -C "$target" && [ ! -e "$broken" ] || {
        rm -f "$broken"
        stop "$2 could not be restored. What is in $target is not whole."
    }
}

# The roles of the old server, which are for people: nothing runs them unseen.
roles() {
    echo "The roles that the old server had are in $1, without passwords. Look at it, and run what of it you want:"
    echo "  psql -X -f $1 postgres"
}
