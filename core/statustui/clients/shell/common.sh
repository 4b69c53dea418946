# What bash and POSIX sh share. Printed by `statustui shell-init` behind the variables of this script.
# No function starts a process, except _stui_wake where the drainer is gone. All output is the message's own line.
_stui_n=0 _stui_open='' _stui_bytes=0 _stui_dropped=0 _stui_line=''
_stui_left=40 _stui_fill=0 _stui_late='' _stui_user='' _stui_runs=0 _stui_limit=60000000 _stui_lost=0
_stui_nl='
'
_stui_low=$(printf '\001\002\003\004\005\006\007\010\011\013\014\015\016\017\020\021\022\023\024\025\026\027\030\031\032\033\034\035\036\037\177')
_stui_high=$(_stui_a=2 && while [ $_stui_a -lt 4 ]; do for _stui_b in 0 1 2 3 4 5 6 7; do
  for _stui_c in 0 1 2 3 4 5 6 7; do printf "\\$_stui_a$_stui_b$_stui_c"; done; done; _stui_a=$((_stui_a + 1)); done)
_stui_many=????????????????????????????????????????????????????????????????????????????????????????????????????
_stui_many=$_stui_many$_stui_many$_stui_many$_stui_many$_stui_many
_stui_many=$_stui_many$_stui_many$_stui_many$_stui_many

_stui_hex() {
  _stui_x=$(($1 / 16)) _stui_y=$(($1 % 16))
  for _stui_h in x y; do
    if [ $_stui_h = x ]; then _stui_v=$_stui_x; else _stui_v=$_stui_y; fi
    case $_stui_v in
      10) _stui_v=a ;; 11) _stui_v=b ;; 12) _stui_v=c ;; 13) _stui_v=d ;; 14) _stui_v=e ;; 15) _stui_v=f ;;
    esac
    _stui_r=$_stui_r$_stui_v
  done
}

# One byte from the front of _stui_s: its number in _stui_code, 0 where it is below 128 or there is none.
_stui_byte() {
  _stui_c=${_stui_s%"${_stui_s#?}"} _stui_code=0
  [ -n "$_stui_c" ] || return 0
  _stui_p=${_stui_high%%"$_stui_c"*}
  [ ${#_stui_p} -ge 128 ] || _stui_code=$((128 + ${#_stui_p}))
}

# The sequence that begins with byte number $1 (gone from _stui_s): as it is when it is UTF-8, else as the text \xNN.
_stui_multi() {
  _stui_first=$1 _stui_seq=$_stui_c _stui_save=$_stui_s _stui_least=128 _stui_most=191
  if [ "$1" -ge 194 ] && [ "$1" -le 223 ]; then _stui_need=1
  elif [ "$1" -ge 224 ] && [ "$1" -le 239 ]; then
    _stui_need=2
    case $1 in 224) _stui_least=160 ;; 237) _stui_most=159 ;; esac
  elif [ "$1" -ge 240 ] && [ "$1" -le 244 ]; then
    _stui_need=3
    case $1 in 240) _stui_least=144 ;; 244) _stui_most=143 ;; esac
  else _stui_need=9
  fi
  while [ $_stui_need -gt 0 ] && [ $_stui_need -lt 9 ]; do
    _stui_byte
    if [ $_stui_code -lt $_stui_least ] || [ $_stui_code -gt $_stui_most ]; then _stui_need=9; break; fi
    _stui_seq=$_stui_seq$_stui_c _stui_s=${_stui_s#?} _stui_need=$((_stui_need - 1)) _stui_least=128 _stui_most=191
  done
  if [ $_stui_need -eq 0 ]; then
    _stui_r=$_stui_r$_stui_seq
  else
    _stui_s=$_stui_save
    _stui_r="$_stui_r\\\\x"
    _stui_hex "$_stui_first"
  fi
}

# $1 as the inside of a JSON string, in _stui_r. Worked off in small pieces: taking a byte off a long text is slow.
_stui_json() {
  _stui_rest=$1 _stui_mid='' _stui_s='' _stui_r=''
  while :; do
    [ ${#_stui_s} -ge 4 ] || [ -z "$_stui_mid$_stui_rest" ] || _stui_refill
    case $_stui_s in
      *[!\ !#-[\]-~]*) ;;
      *)
        _stui_r=$_stui_r$_stui_s _stui_s=''
        [ -n "$_stui_mid$_stui_rest" ] || return 0
        continue ;;
    esac
    _stui_p=${_stui_s%%[!\ !#-[\]-~]*}
    _stui_r=$_stui_r$_stui_p _stui_s=${_stui_s#"$_stui_p"}
    [ ${#_stui_s} -ge 4 ] || [ -z "$_stui_mid$_stui_rest" ] || _stui_refill
    _stui_byte
    _stui_s=${_stui_s#?}
    case $_stui_c in
      \") _stui_r=$_stui_r\\\" ;;
      \\) _stui_r=$_stui_r\\\\ ;;
      "$_stui_nl") _stui_r=$_stui_r\\n ;;
      *)
        if [ $_stui_code -gt 0 ]; then
          _stui_multi "$_stui_code"
        else
          _stui_p=${_stui_low%%"$_stui_c"*} _stui_code=$((${#_stui_p} + 1))
          [ $_stui_code -lt 10 ] || _stui_code=$((_stui_code + 1))
          [ $_stui_code -lt 32 ] || _stui_code=127
          _stui_r="$_stui_r\\u00"
          _stui_hex $_stui_code
        fi ;;
    esac
  done
}

# $1 as it may stand in the journal, in _stui_r: no password of a URL, at most 2,000 bytes.
_stui_text() {
  _stui_s=$1
  if [ ${#_stui_s} -gt 2000 ]; then
    # shellcheck disable=SC2295  # a pattern
    _stui_p=${_stui_s#$_stui_many}
    _stui_s=${_stui_s%"$_stui_p"}...
  fi
  case $_stui_s in
    *://*:*@*) _stui_hide ;;
  esac
  case $_stui_s in
    *[!\ !#-[\]-~]*)
      _stui_cut=$_stui_s
      _stui_json "$_stui_cut"
      if [ ${#_stui_r} -gt 3500 ]; then
        _stui_p=${_stui_cut#????????????????????????????????????????????????????????????????????????????????}
        _stui_json "${_stui_cut%"$_stui_p"}..."
      fi ;;
    *) _stui_r=$_stui_s ;;
  esac
}

_stui_hide() {
  _stui_p='' _stui_y=$_stui_s
  while :; do
    case $_stui_y in *://*:*@*) ;; *) break ;; esac
    _stui_p=$_stui_p${_stui_y%%://*}:// _stui_y=${_stui_y#*://}
    _stui_x=${_stui_y%%@*}
    case $_stui_x in
      *[\ /?#]* | "$_stui_y") ;;
      *:*) _stui_p=$_stui_p${_stui_x%%:*}:[redacted]@ _stui_y=${_stui_y#*@} ;;
    esac
  done
  _stui_s=$_stui_p$_stui_y
}

# $1 as a count in _stui_r; empty when it is none.
_stui_count() {
  _stui_r=${1-}
  case $_stui_r in '' | *[!0-9]* | ????????????????*) _stui_r=''; return 0 ;; esac
  while [ "${_stui_r#0}" != "$_stui_r" ] && [ "$_stui_r" != 0 ]; do _stui_r=${_stui_r#0}; done
  [ -n "$_stui_r" ] || _stui_r=0
}

# Seconds since the boot in _stui_m, its whole seconds in _stui_sec.
_stui_clock() {
  _stui_wall
  _stui_m=null _stui_sec=0
  IFS=' ' read -r _stui_m _stui_x </proc/uptime || _stui_m=null
  case $_stui_m in
    *.*) _stui_sec=$((${_stui_m%%.*} - _stui_asleep)) _stui_m=$((${_stui_m%%.*} - _stui_asleep)).${_stui_m#*.} ;;
    *) _stui_m=null ;;
  esac
}

# Append one record: kind, then its other fields as JSON.
_stui_put() {
  [ -n "$_stui_file" ] || return 0
  [ $_stui_bytes -le $_stui_limit ] || _stui_applied
  if [ $_stui_bytes -gt $_stui_limit ] && [ "$1" != run.end ]; then
    _stui_dropped=$((_stui_dropped + 1)) _stui_lost=$((_stui_lost + 1))
    # Told now and then: a subshell has no end of its own to tell it at, and a script may be killed.
    case $_stui_lost in 1 | 10 | 100 | *000) ;; *) return 0 ;; esac
  fi
  if [ $_stui_dropped -gt 0 ]; then
    _stui_add "{\"k\":\"dropped\",\"t\":$_stui_t,\"m\":$_stui_m,\"facts\":$_stui_dropped,\"progress\":0}" || {
      _stui_dropped=$((_stui_dropped + 1))
      return 0
    }
    _stui_dropped=0
    [ $_stui_bytes -le $_stui_limit ] || [ "$1" = run.end ] || return 0
  fi
  _stui_add "{\"k\":\"$1\",\"t\":$_stui_t,\"m\":$_stui_m,\"run\":\"$_stui_run\"$2}" || _stui_dropped=$((_stui_dropped + 1))
}

# Only what the drainer has not applied counts: how far it is stands in a file. No journal goes beyond 4 GB.
_stui_applied() {
  _stui_x=''
  IFS=' ' read -r _stui_x <"${_stui_file%.0.jsonl}.ack" || :
  _stui_x=${_stui_x#"${_stui_x%%[!0]*}"}
  case $_stui_x in '' | *[!0-9]* | ???????????*) return 0 ;; esac
  _stui_limit=$((_stui_x + 60000000))
  [ $_stui_limit -le 4000000000 ] || _stui_limit=4000000000
}

# A line feed before it and one behind it: a line-buffered shell writes the former apart, the line itself by one write.
_stui_add() {
  [ -f "$_stui_file" ] || return 1
  _stui_bytes=$((_stui_bytes + ${#1} + 2))
  printf '\n%s\n' "$1" >>"$_stui_file"
}

# A process is started only where the drainer has not beaten since this script last looked, 30 s ago or more.
_stui_wake() {
  [ $((_stui_sec - _stui_looked)) -ge 30 ] || return 0
  [ -n "$_stui_file" ] && [ -n "$_stui_drainer" ] || return 0
  if [ ! "$_stui_spool/drainer.beat" -nt "${_stui_file%.0.jsonl}.tick" ]; then
    # In the background of a subshell: neither `wait` nor `$!` of the script knows of it.
    (eval "set -- $_stui_drainer"; "$@" </dev/null >/dev/null 2>&1 &)
  fi
  _stui_looked=$_stui_sec
  : >|"${_stui_file%.0.jsonl}.tick"
}

# A subshell gives numbers of its own, so that what it begins does not meet what the script begins.
_stui_number() {
  _stui_self
  if [ "$_stui_x" != "$_stui_pid" ]; then
    _stui_pid=$_stui_x _stui_n=$((((_stui_x * 7919 + _stui_sec) % 2097151 | 1) * 1024)) _stui_late=''
    _stui_dropped=0 # the script tells its own
  fi
  _stui_n=$((_stui_n + 1))
}

_stui_begun() {
  _stui_clock
  _stui_wake
  [ -z "$_stui_run" ] || return 0
  _stui_runs=$((_stui_runs + 1)) _stui_open='' _stui_late='' _stui_bytes=0
  if [ $_stui_runs -eq 1 ] && [ "$_stui_deferred" = 1 ]; then
    _stui_run=$_stui_id
  else
    _stui_x=00000000000$_stui_runs
    _stui_run=${_stui_id%????????????}${_stui_x#"${_stui_x%????????????}"}
  fi
  export STATUSTUI_OWNER="$_stui_run:$_stui_owner"
  [ -z "${STATUSTUI_CONTEXT-}" ] || export STATUSTUI_CONTEXT="$_stui_run ${STATUSTUI_CONTEXT#* }"
  _stui_put run.start "$_stui_about"
}

_stui_enter() {
  _stui_begun
  [ -z "$_stui_late" ] || _stui_flush
  _stui_number
  _stui_up=${_stui_open%% *}
  _stui_text "$1"
  _stui_put sub.start ",\"n\":$_stui_n,\"name\":\"$_stui_r\"${_stui_up:+,\"parent\":$_stui_up}"
  _stui_open="$_stui_n $_stui_open"
  export STATUSTUI_SUBTASK="$_stui_run:$_stui_n"
}

_stui_leave() {
  _stui_sub=${_stui_open%% *}
  [ -n "$_stui_sub" ] && [ -n "$_stui_run" ] || return 0
  _stui_clock
  [ -z "$_stui_late" ] || _stui_flush
  _stui_x=''
  if [ $# -gt 0 ]; then
    _stui_text "$1"
    _stui_x=",\"message\":\"$_stui_r\""
  fi
  _stui_put sub.end ",\"n\":$_stui_sub,\"status\":\"completed\"$_stui_x"
  _stui_open=${_stui_open#* }
  export STATUSTUI_SUBTASK="$_stui_run:${_stui_open%% *}"
}

# Progress: the first forty are written at once, then two a second; the last one is kept until there is room for it.
_stui_tell() {
  if [ "$_stui_sec" -gt "$_stui_fill" ]; then
    _stui_left=$((_stui_left + 2 * (_stui_sec - _stui_fill))) _stui_fill=$_stui_sec
    [ $_stui_left -le 40 ] || _stui_left=40
  fi
  if [ $_stui_left -gt 0 ] || [ "$2" = now ]; then
    _stui_left=$((_stui_left - 1))
    _stui_late=$1
    _stui_flush
  else
    _stui_late=$1
  fi
}

_stui_flush() {
  _stui_sub=${_stui_late%%,*}
  if [ "$_stui_sub" = 0 ]; then
    _stui_put run.info ",${_stui_late#*,}"
  else
    _stui_put sub.info ",\"n\":$_stui_sub,${_stui_late#*,}"
  fi
  _stui_late=''
}

_stui_note() {
  _stui_begun
  _stui_text "$1"
  _stui_sub=${_stui_open%% *}
  _stui_tell "${_stui_sub:-0},\"message\":\"$_stui_r\"" ''
}

_stui_progress() {
  _stui_begun
  _stui_count "${1-}"
  _stui_done=$_stui_r
  _stui_count "${2-}"
  _stui_all=$_stui_r _stui_f='' _stui_now=''
  _stui_sub=${_stui_open%% *}
  if [ -n "$_stui_sub" ]; then
    _stui_f=${_stui_done:+,\"complete\":$_stui_done}${_stui_all:+,\"total\":$_stui_all}
    [ -z "$_stui_done" ] || [ "$_stui_done" != "$_stui_all" ] || _stui_now=now
  elif [ -n "$_stui_done" ] && [ "${_stui_all:-0}" -gt 0 ] && [ "$_stui_done" -le "$_stui_all" ]; then
    # Nothing is open: it is the progress of the whole.
    _stui_f=",\"percent\":$((_stui_done * 100 / _stui_all))"
  fi
  if [ -n "${3-}" ]; then
    _stui_text "$3"
    _stui_f="$_stui_f,\"message\":\"$_stui_r\""
  fi
  [ -z "$_stui_f" ] || _stui_tell "${_stui_sub:-0}$_stui_f" "$_stui_now"
}

# How a run ends: status, then its other fields.
_stui_close() {
  [ -n "$_stui_run" ] || return 0
  _stui_clock
  [ -z "$_stui_late" ] || _stui_flush
  _stui_x="\"status\":\"$1\"$2"
  # At the end of the script the run's own end closes them, as that turns out to be.
  case $2 in *provisional*) _stui_open='' ;; esac
  while [ "$1" = finished ] && [ -n "${_stui_open%% *}" ]; do
    _stui_put sub.end ",\"n\":${_stui_open%% *},\"status\":\"completed\""
    _stui_open=${_stui_open#* }
  done
  _stui_put run.end ",$_stui_x"
  _stui_run='' _stui_open=''
  # A script may still have something to say of it in a trap of its own; a session is in no run now.
  [ "$_stui_deferred" != 1 ] || unset STATUSTUI_OWNER STATUSTUI_SUBTASK
}

_stui_error() {
  _stui_begun
  _stui_text "${1-}"
  _stui_d=",\"error\":{\"type\":\"Error\",\"message\":\"$_stui_r\""
  if [ -n "${2-}" ]; then
    _stui_text "$2"
    _stui_d="$_stui_d,\"detail\":\"$_stui_r\""
  fi
  _stui_sub=${_stui_open%% *}
  _stui_close failed "$_stui_d${_stui_sub:+,\"subtask\":$_stui_sub}}"
}

_stui_done() {
  [ -n "$_stui_run" ] || return 0
  _stui_text "$1"
  _stui_close finished ",\"message\":\"$_stui_r\""
}

# The end of the script: its exit status, the command that it was at, the line where known.
_stui_over() {
  [ -n "$_stui_run" ] || return 0
  _stui_status=$1
  _stui_text "$2"
  _stui_d=$_stui_r
  case $_stui_status in
    0) _stui_close finished ',"exit_code":0,"provisional":true' ;;
    129 | 130 | 131 | 143)
      _stui_close cancelled ",\"exit_code\":$_stui_status,\"signal\":$((_stui_status - 128)),\"provisional\":true,\"message\":\"ended by signal $((_stui_status - 128))\"" ;;
    *)
      _stui_d="$_stui_d: status $_stui_status${3:+, line $3}"
      _stui_sub=${_stui_open%% *}
      _stui_close failed ",\"exit_code\":$_stui_status,\"provisional\":true,\"error\":{\"type\":\"ExitStatus\",\"message\":\"${_stui_d#: }\"${_stui_sub:+,\"subtask\":$_stui_sub}}" ;;
  esac
  _stui_last
}

# The last line of the journal, which has no run.
_stui_last() {
  _stui_add "{\"k\":\"close\",\"t\":$_stui_t,\"m\":$_stui_m}"
}

genter() {
  { @QUIET@; _stui_enter "${1-}"; } 2>/dev/null || :
  _stui_say "${1-}" 2>/dev/null || :
  return 0
}

gexit() {
  { @QUIET@; _stui_leave "$@"; } 2>/dev/null || :
  [ $# -eq 0 ] || _stui_say "$1" 2>/dev/null || :
  return 0
}

gmessage() {
  { @QUIET@; _stui_note "${1-}"; } 2>/dev/null || :
  _stui_say "${1-}" 2>/dev/null || :
  return 0
}

track_progress() {
  { @QUIET@; _stui_progress "$@"; } 2>/dev/null || :
  [ -z "${3-}" ] || _stui_say "$3" 2>/dev/null || :
  return 0
}

track_error() {
  { @QUIET@; _stui_error "$@"; } 2>/dev/null || :
  printf 'ERROR: %s\n' "${1-}" >&2 2>/dev/null || :
  return 0
}

track_finish() {
  { @QUIET@; _stui_done "${1-Script completed successfully}"; } 2>/dev/null || :
  _stui_say "${1-Script completed successfully}" 2>/dev/null || :
  return 0
}
