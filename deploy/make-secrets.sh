#!/bin/sh
# Makes the secrets of docker-compose.yml, one file each, in ./secrets or the folder given. What is there already stays.
#
# Only the owner may enter the folder. The files in it are readable, since each container mounts single ones and reads
# them as a user of its own.
set -eu
umask 077
dir=${1:-secrets}
mkdir -p "$dir"
chmod 700 "$dir"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# keep NAME TEXT: the text on one line, unless the file exists.
keep() {
  [ -s "$dir/$1" ] || printf '%s\n' "$2" > "$dir/$1"
  chmod 444 "$dir/$1"
}

keep cluster-key "$(random)"
for role in superuser node registry health failover sync consistency; do keep "postgres-$role" "$(random)"; done
for user in holdfast member listener; do keep "nats-$user" "$(random)"; done
keep redis "$(random)"

# The same once more in the form that the servers include.
keep nats-passwords.conf "HOLDFAST_PASSWORD: \"$(cat "$dir/nats-holdfast")\"
MEMBER_PASSWORD: \"$(cat "$dir/nats-member")\"
LISTENER_PASSWORD: \"$(cat "$dir/nats-listener")\""
keep redis-password.conf "requirepass $(cat "$dir/redis")"
echo "the secrets are in $dir"
