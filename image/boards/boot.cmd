# Adit's boot script: chooses a slot, counts its try down, starts its signed FIT. One file for all boards.
#
# The loader's environment (uboot.env of the board) says where things are; all numbers are hexadecimal:
#   adit_dev adit_devnum   block device with the GPT, as U-Boot's commands name it ("virtio" "0")
#   adit_state_addr        memory for both copies of the boot state and a scratch area, 16 KiB
#   adit_fit_addr          memory for a FIT of adit_fit_max bytes, away from where its kernel goes
#   adit_fit_max           longest FIT that is read; not above the size of the boot partitions
# Needs from U-Boot: hush, FIT signatures, env import and export, setexpr, itest, part, fdt, and
# environment blocks without the flag byte of the redundant kind.
#
# The format of the state and the lines printed here are documented in docs/boot-state.md.

# The command line is in the signed device tree. One found here would replace it, and "verify=n" would
# switch the check of the signature off.
setenv bootargs
setenv verify yes

if test -z "${adit_dev}" || test -z "${adit_devnum}" || test -z "${adit_state_addr}" || test -z "${adit_fit_addr}" || test -z "${adit_fit_max}"; then
  echo "Adit: environment without adit_ values, reset in 10 s"
  sleep 10
  reset
fi

setenv state_0 ${adit_state_addr}
setexpr state_1 ${adit_state_addr} + 1000
setexpr text ${adit_state_addr} + 2000

# The state is not authenticated, and the shell looks again at a command line after it has put values
# into it. So no value that came from the state is ever written as ${...}: values are read as bytes out
# of memory, where env export has laid down NAME=value, and what goes on from here are numbers.
#
# number: the number whose digits begin at ${at}, into ${n}. One to seven of 0-9 a-f and the end of the
# value; anything else is 0. Seven, because itest compares signed 32-bit numbers on 32-bit boards. A byte
# that is no digit stops ${at} from moving on.
setenv number 'setenv n 0
for i in 1 2 3 4 5 6 7; do
  setexpr.b c *${at}
  if itest ${c} -ge 30 && itest ${c} -le 39; then setexpr c ${c} - 30;
  elif itest ${c} -ge 61 && itest ${c} -le 66; then setexpr c ${c} - 57;
  else setenv c; fi
  if test -n "${c}"; then setexpr n ${n} * 10; setexpr n ${n} + ${c}; setexpr at ${at} + 1; fi
done
if itest.b *${at} -ne 0; then setenv n 0; fi'

# ---- Read both copies. Memory keeps its contents over a reset: cleared first, so that a failed read
# cannot find the copies of the boot before.
mw.b ${adit_state_addr} 0 3000
setenv state_lba_0
if part start ${adit_dev} ${adit_devnum} bootstate state_lba_0; then
  setexpr state_lba_1 ${state_lba_0} + 400
  ${adit_dev} read ${state_0} ${state_lba_0} 8
  ${adit_dev} read ${state_1} ${state_lba_1} 8
else
  echo "Adit: no boot state partition"
fi

# ---- Sequence number of each copy, 0 when its checksum is wrong or the number is none.
setenv BOOT_SEQ
if env import -c ${state_0} 1000 BOOT_SEQ; then env export -b -s 40 ${text} BOOT_SEQ; fi
setexpr at ${text} + 9
run number
setenv seq_0 ${n}

mw.b ${text} 0 40
setenv BOOT_SEQ
if env import -c ${state_1} 1000 BOOT_SEQ; then env export -b -s 40 ${text} BOOT_SEQ; fi
setexpr at ${text} + 9
run number
setenv seq_1 ${n}

# A number without a successor would keep every later copy from winning: start over.
if itest ${seq_0} -eq fffffff || itest ${seq_1} -eq fffffff; then
  setenv seq_0 0
  setenv seq_1 0
fi

# ---- The newest copy is the state; the other one will be overwritten.
setenv BOOT_ORDER
setenv BOOT_A_LEFT
setenv BOOT_B_LEFT
setenv BOOT_TRIAL
if itest ${seq_0} -eq 0 && itest ${seq_1} -eq 0; then
  echo "Adit: no valid boot state, starting with defaults"
  setenv seq 0
  setenv write_0 yes
  setenv write_1 yes
  setenv BOOT_A_LEFT 3
  setenv BOOT_B_LEFT 3
elif itest ${seq_0} -ge ${seq_1}; then
  setenv seq ${seq_0}
  setenv write_0 no
  setenv write_1 yes
  env import -c ${state_0} 1000 BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT BOOT_TRIAL
else
  setenv seq ${seq_1}
  setenv write_0 yes
  setenv write_1 no
  env import -c ${state_1} 1000 BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT BOOT_TRIAL
fi

# ---- Its values as numbers, and back into the variables as the only texts that exist.
mw.b ${text} 0 40
env export -b -s 40 ${text} BOOT_A_LEFT
setexpr at ${text} + c
run number
if itest ${n} -gt f; then setenv n f; fi
setenv left_a ${n}

mw.b ${text} 0 40
env export -b -s 40 ${text} BOOT_B_LEFT
setexpr at ${text} + c
run number
if itest ${n} -gt f; then setenv n f; fi
setenv left_b ${n}

mw.b ${text} 0 40
env export -b -s 40 ${text} BOOT_ORDER
setexpr at ${text} + b
if itest.b *${at} -eq 42; then setenv BOOT_ORDER "B A"; setenv first b; else setenv BOOT_ORDER "A B"; setenv first a; fi

mw.b ${text} 0 40
env export -b -s 40 ${text} BOOT_TRIAL
setexpr at ${text} + b
setenv BOOT_TRIAL
if itest.b *${at} -eq 41; then setenv BOOT_TRIAL A; fi
if itest.b *${at} -eq 42; then setenv BOOT_TRIAL B; fi

# ---- The first slot in the order that has tries left.
setenv slot
if test ${first} = b && itest ${left_b} -gt 0; then setenv slot b;
elif itest ${left_a} -gt 0; then setenv slot a;
elif itest ${left_b} -gt 0; then setenv slot b; fi

# Neither: be seen and heard for a minute instead of hanging or spinning, then try each once more.
if test -z "${slot}"; then
  for wait in 60 50 40 30 20 10; do
    echo "Adit: no slot has tries left, one more each in ${wait} s"
    sleep 10
  done
  setenv left_a 1
  setenv left_b 1
fi

# ---- Count down, and write that before anything of the slot runs.
if test "${slot}" = a; then setexpr left_a ${left_a} - 1; fi
if test "${slot}" = b; then setexpr left_b ${left_b} - 1; fi
setexpr seq ${seq} + 1
setenv BOOT_SEQ ${seq}
setenv BOOT_A_LEFT ${left_a}
setenv BOOT_B_LEFT ${left_b}
mw.b ${state_0} 0 1000
env export -c -s 1000 ${state_0} BOOT_SEQ BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT BOOT_TRIAL
setenv written no
if test -n "${state_lba_0}"; then
  if test ${write_0} = yes && ${adit_dev} write ${state_0} ${state_lba_0} 8; then setenv written yes; fi
  if test ${write_1} = yes && ${adit_dev} write ${state_0} ${state_lba_1} 8; then setenv written yes; fi
fi

# ---- What is started in this pass: the slot that was counted down; after it a reset, and the count leads
# to the other slot. A count that cannot be written leads nowhere, and a worn-out card must not make a dead
# unit: then both slots in this pass, tries or none, the one that was chosen or is preferred first.
setenv slots ${slot}
setenv last ${slot}
if test ${written} = no; then
  echo "Adit: boot state not written"
  if test -z "${slot}"; then setenv slot ${first}; fi
  if test ${slot} = a; then setenv last b; else setenv last a; fi
  setenv slots ${slot} ${last}
fi

# ---- Read a FIT, as much of it as its header says, and start it. bootm comes back when anything is wrong
# with it, the signature included. The loop has a variable of its own: one of the environment hides it.
setenv each
for each in ${slots}; do
  setenv slot ${each}
  if test ${slot} = a; then setenv name A; else setenv name B; fi
  echo "Adit: slot ${name}, tries left A=${left_a} B=${left_b}, seq ${seq}"
  mw.b ${adit_fit_addr} 0 200
  setenv fit_size 0
  if part start ${adit_dev} ${adit_devnum} boot_${slot} fit_lba && ${adit_dev} read ${adit_fit_addr} ${fit_lba} 1 && fdt addr ${adit_fit_addr}; then
    fdt header get fit_size totalsize
    if itest ${fit_size} -gt 0 && itest ${fit_size} -le ${adit_fit_max}; then
      setexpr fit_blocks ${fit_size} + 1ff
      setexpr fit_blocks ${fit_blocks} / 200
      if ${adit_dev} read ${adit_fit_addr} ${fit_lba} ${fit_blocks}; then bootm ${adit_fit_addr}#conf-${slot}; fi
    fi
  fi
  if test ${slot} = ${last}; then setenv next reset; else setenv next other slot; fi
  echo "Adit: slot ${name} does not boot, ${next}"
done
reset
