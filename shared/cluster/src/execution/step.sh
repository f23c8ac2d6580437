for weir_command do
  printf '+ %s\n' "$weir_command"
  eval "$weir_command"
  weir_code=$?
  if [ "$weir_code" -ne 0 ]; then exit "$weir_code"; fi
done
