# POSIX sh (dash, busybox): no clock, no process id of subshells, and an alias in front of the special builtin `trap`.
_stui_wall() { _stui_t=null; }
_stui_self() {
  _stui_x=$_stui_pid
  # The stat file is read byte by byte: only where this is another process than the last time.
  [ /proc/self -ef "/proc/$_stui_pid" ] || IFS=' ' read -r _stui_x _stui_y </proc/self/stat || :
}

_stui_twenty='????????????????????'
_stui_refill() {
  if [ ${#_stui_mid} -lt 20 ]; then
    if [ ${#_stui_rest} -gt 200 ]; then
      # shellcheck disable=SC2295  # patterns
      _stui_p=${_stui_rest#$_stui_twenty$_stui_twenty$_stui_twenty$_stui_twenty$_stui_twenty$_stui_twenty$_stui_twenty}
      _stui_mid=$_stui_mid${_stui_rest%"$_stui_p"} _stui_rest=$_stui_p
    else
      _stui_mid=$_stui_mid$_stui_rest _stui_rest=''
    fi
  fi
  if [ ${#_stui_mid} -gt 20 ]; then
    # shellcheck disable=SC2295
    _stui_p=${_stui_mid#$_stui_twenty}
    _stui_s=$_stui_s${_stui_mid%"$_stui_p"} _stui_mid=$_stui_p
  else
    _stui_s=$_stui_s$_stui_mid _stui_mid=''
  fi
}

# The time of day is that of the start plus what has passed since the machine's boot.
_stui_say() {
  if [ "$_stui_m" = null ]; then
    printf '%s\n' "$1"
    return 0
  fi
  _stui_x=$(((_stui_sec + _stui_day) % 86400))
  _stui_h=$((_stui_x / 3600)) _stui_y=$((_stui_x / 60 % 60)) _stui_x=$((_stui_x % 60))
  case $_stui_h in ?) _stui_h=0$_stui_h ;; esac
  case $_stui_y in ?) _stui_y=0$_stui_y ;; esac
  case $_stui_x in ?) _stui_x=0$_stui_x ;; esac
  printf '[%s:%s:%s] %s\n' "$_stui_h" "$_stui_y" "$_stui_x" "$1"
}

# $1 status, $2 line
_stui_exit() {
  _stui_self
  [ "$_stui_x" = "$$" ] && [ -n "$_stui_run" ] || return "$1"
  _stui_cmd=''
  case $2 in
    '' | *[!0-9]* | 0) _stui_ln='' ;;
    *)
      _stui_ln=$2 _stui_k=0
      [ "$1" -eq 0 ] || [ ! -f "$_stui_script" ] || [ "$2" -gt 20000 ] || while IFS= read -r _stui_cmd; do
        _stui_k=$((_stui_k + 1))
        [ $_stui_k -lt "$2" ] || break
        _stui_cmd=''
      done <"$_stui_script"
      _stui_cmd=${_stui_cmd#"${_stui_cmd%%[! 	]*}"} ;;
  esac
  _stui_over "$1" "$_stui_cmd" "$_stui_ln"
  return "$1"
}

# Ctrl-C comes to the commands in the foreground too, so that a trap does not delay it; TERM may not.
_stui_signal() {
  { _stui_clock; _stui_close cancelled ",\"signal\":$2,\"message\":\"ended by signal $2\""; _stui_last; } 2>/dev/null
  trap - EXIT "$1"
  kill -"$1" "$$"
}

_stui_got() {
  case $3 in INT) _stui_has=1 ;; esac
  case $3 in EXIT | 0) case $2 in *_stui_exit*) ;; *) _stui_user=$2 ;; esac ;; esac
}

# The traps as the script set them.
_stui_traps() {
  [ -z "$_stui_user" ] || printf "trap -- '%s' EXIT\n" "$_stui_user"
  [ -n "$_stui_file" ] && trap >|"${_stui_file%.0.jsonl}.tick" || return 0
  while IFS= read -r _stui_y; do
    case $_stui_y in *_stui_*) ;; *) printf '%s\n' "$_stui_y" ;; esac
  done <"${_stui_file%.0.jsonl}.tick"
  : >|"${_stui_file%.0.jsonl}.tick"
}

_stui_trap() {
  case ${1-} in
    -[pl]*) trap "$@"; return ;;
    --) shift ;;
  esac
  case $# in
    0) _stui_traps; return ;;
    1) set -- - "$1" ;;
  esac
  _stui_act=$1
  shift
  for _stui_spec; do
    _stui_self
    case $_stui_spec,$_stui_x in
      EXIT,"$$" | 0,"$$") case $_stui_act in - | *_stui_exit*) _stui_user='' ;; *) _stui_user=$_stui_act ;; esac ;;
      *) trap -- "$_stui_act" "$_stui_spec" || return ;;
    esac
  done
}

_stui_has=''
# Traps of the script so far: a subshell would not know of them, a file does.
if [ -n "$_stui_file" ] && trap >|"${_stui_file%.0.jsonl}.tick"; then
  _stui_x=''
  while IFS= read -r _stui_y; do
    case $_stui_y in 'trap -- '*) _stui_y="_stui_got ${_stui_y#trap }" ;; esac
    _stui_x=$_stui_x$_stui_y$_stui_nl
  done <"${_stui_file%.0.jsonl}.tick"
  eval "$_stui_x"
  : >|"${_stui_file%.0.jsonl}.tick"
fi
trap 'if _stui_exit "$?" "${LINENO-}" 2>/dev/null; then eval "$_stui_user"; else eval "$_stui_user"; fi' EXIT
case $-$_stui_has in *i* | *1) ;; *) trap '_stui_signal INT 2' INT ;; esac
alias trap=_stui_trap
