set -eu
umask 000
git config --global --add safe.directory '*'
git config --global advice.detachedHead false
if [ -n "${WEIR_FETCH_AUTHORIZATION-}" ]; then
  git config --global http.extraHeader "Authorization: $WEIR_FETCH_AUTHORIZATION"
fi
git init -q .
git remote add -- origin "$WEIR_CLONE_URL"
git fetch -q --depth 1 origin "$GIT_COMMIT"
if git lfs version >/dev/null 2>&1; then
  git lfs install --local >/dev/null
fi
git checkout -q --detach FETCH_HEAD
git log -1 --format='%H %s'
