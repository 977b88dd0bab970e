#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes an authority that nobody knows, and certificates of servers by it.
#
#     Tests/Certificates/make.sh DIRECTORY
#
# Leaves ca.pem, the authority; key.pem, the key of every server; and for each server a certificate:
#     site.pem      of site.test
#     address.pem   of 127.0.0.1, and of no name
#     other.pem     of other.test
#     nameless.pem  of site.test by its common name alone
#     expired.pem   of site.test, until yesterday
#     selfmade.pem  of site.test, by itself
set -eu
cd "$1"

cat >settings <<'END'
[req]
distinguished_name = nobody
[nobody]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
END
for key in ca-key key; do
    openssl ecparam -name prime256v1 -genkey -noout -out "$key.pem"
done
openssl req -x509 -new -config settings -extensions authority -key ca-key.pem -days 2 \
    -subj '/CN=sandboxd tests' -out ca.pem

# A certificate called $1 of $2 for $3 days, made by those who are named after them.
certificate() {
    name=$1 of=$2 days=$3
    shift 3
    openssl req -new -config settings -key key.pem -subj '/CN=site.test' -out request
    printf '%s\n' "basicConstraints = CA:FALSE" ${of:+"subjectAltName = $of"} >extensions
    openssl x509 -req -in request -extfile extensions -days "$days" -set_serial "0x$(
        openssl rand -hex 8)" "$@" -out "$name.pem" 2>/dev/null
}
by_authority='-CA ca.pem -CAkey ca-key.pem'
# shellcheck disable=SC2086
{
    certificate site DNS:site.test 2 $by_authority
    certificate address IP:127.0.0.1 2 $by_authority
    certificate other DNS:other.test 2 $by_authority
    certificate nameless '' 2 $by_authority
    certificate expired DNS:site.test -1 $by_authority
}
certificate selfmade DNS:site.test 2 -signkey key.pem
rm settings request extensions ca-key.pem
