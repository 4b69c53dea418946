# bash: a clock, a process id of subshells, and a function in front of the builtin `trap`.
if [[ ${BASH_VERSINFO[0]} -ge 5 ]]; then
  _stui_wall() { _stui_t=${EPOCHREALTIME:-null}; }
else
  _stui_wall() { printf -v _stui_t '%(%s)T' -1 || _stui_t=null; }
fi
_stui_self() { _stui_x=${BASHPID:-$$}; }
_stui_refill() { _stui_s+=${_stui_rest:0:20} _stui_rest=${_stui_rest:20}; }
_stui_say() { printf '[%(%H:%M:%S)T] %s\n' -1 "$1"; }

# True when the script was not at its end: a signal ended it. bash runs the EXIT trap then too, and says nothing of it.
# A trap for the signal itself would make it wait for the command in the foreground.
# $1 status, $2 command, $3 depth of calls
_stui_broken() {
  local job text rest=''
  text=$(jobs 2>/dev/null)
  while IFS= read -r job; do
    job=${job%%"  (wd: "*}
    # A command in the foreground that still runs; those in the background end in "&".
    [[ $job != \[*Running* || $job == *"&" ]] || return 0
  done <<<"$text"
  [[ $2 != exit && $2 != "exit "* && $2 != return && $2 != "return "* ]] || return 1
  [[ $1 -eq 0 || $- != *[eu]* ]] || return 1
  [[ $3 -le 2 ]] || return 0
  [[ -n $_stui_script && $- != *i* && /dev/fd/255 -ef $_stui_script ]] || return 1
  # bash has put the offset of its descriptor behind the command that it started last.
  while IFS= read -r -u 255 rest || [[ -n $rest ]]; do
    [[ $rest =~ ^[[:space:]]*(#|$) ]] || return 0
    rest=''
  done
  return 1
}

# $1 status, $2 command
_stui_exit() {
  local LC_ALL=C line=$_stui_line depth=${#FUNCNAME[@]}
  [[ ${BASHPID:-$$} = "$$" && -n $_stui_run ]] || return "$1"
  if [[ $2 = exit || $2 = "exit "* ]]; then
    line=''
  elif [[ $depth -gt 2 ]]; then
    line="${BASH_LINENO[1]} (in ${FUNCNAME[1]})"
  fi
  if _stui_broken "$1" "$2" "$depth"; then
    _stui_text "$2"
    _stui_close cancelled ",\"provisional\":true,\"message\":\"ended by a signal, in: $_stui_r\""
    _stui_last
  else
    _stui_over "$1" "$2" "$line"
  fi
  return "$1"
}

# What a command says of the script's own EXIT trap.
_stui_got() { case $2 in *_stui_exit*) ;; *) _stui_user=$2 ;; esac; }

trap() {
  local spec status=0
  case ${1-} in
    -p) shift; _stui_traps "$@"; return ;;
    -l) builtin trap -l; return ;;
    --) shift ;;
  esac
  case $# in
    0) _stui_traps; return ;;
    1) set -- - "$1" ;;
  esac
  _stui_act=$1
  shift
  for spec; do
    case $spec in
      EXIT | exit | SIGEXIT | 0)
        if [[ ${BASHPID:-$$} = "$$" ]]; then
          case $_stui_act in - | *_stui_exit*) _stui_user='' ;; *) _stui_user=$_stui_act ;; esac
        else
          builtin trap -- "$_stui_act" EXIT || status=$?
        fi ;;
      *) builtin trap -- "$_stui_act" "$spec" || status=$? ;;
    esac
  done
  return $status
}

# The traps as the script set them.
_stui_traps() {
  local spec
  [[ $# -gt 0 ]] || set -- EXIT {1..64} DEBUG ERR RETURN
  for spec; do
    case $spec in
      EXIT | exit | SIGEXIT | 0)
        if [[ ${BASHPID:-$$} != "$$" && ! $(builtin trap -p EXIT) = *_stui_exit* ]]; then
          builtin trap -p EXIT
        elif [[ -n $_stui_user ]]; then
          printf "trap -- '%s' EXIT\n" "${_stui_user//\'/\'\\\'\'}"
        fi ;;
      ERR) [[ $(builtin trap -p ERR) = *_stui_line* ]] || builtin trap -p ERR ;;
      *) builtin trap -p "$spec" 2>/dev/null ;;
    esac
  done
  return 0
}

_stui_x=$(builtin trap -p EXIT)
[[ -z $_stui_x ]] || eval "_stui_got ${_stui_x#trap }"
if [[ $- != *i* && -z $(builtin trap -p ERR) ]]; then
  builtin trap '_stui_line=$LINENO' ERR
fi
builtin trap 'if _stui_exit "$?" "$BASH_COMMAND" 2>/dev/null; then eval "$_stui_user"; else eval "$_stui_user"; fi' EXIT
