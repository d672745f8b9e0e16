# Restores this backup without Liftlock, into new databases and folders. Nothing that is there is touched.
#
#   powershell -ExecutionPolicy Bypass -File restore.ps1 [FOLDER]
#
# FOLDER is where files are restored to; the user's own folder otherwise. Databases are restored to the server that
# PostgreSQL's own variables name (PGHOST, PGPORT, PGUSER, PGPASSFILE), else to the one on this computer.
param([string]$Into = $env:USERPROFILE)
$ErrorActionPreference = 'Stop'
$OutputEncoding = New-Object Text.UTF8Encoding($false)
$env:PGCLIENTENCODING = 'UTF8'
Set-Location -LiteralPath $PSScriptRoot

function Stop-Here([string]$Why) {
    Write-Host "Stopped: $Why" -ForegroundColor Red
    Write-Host 'Nothing that was there before has been touched.'
    exit 1
}

function Find-Tool([string]$Name) {
    $found = Get-Command $Name -ErrorAction SilentlyContinue
    if ($found) { return $found.Source }
    $places = Get-ChildItem "$env:ProgramFiles\PostgreSQL\*\bin\$Name.exe" -ErrorAction SilentlyContinue
    $newest = $places | Sort-Object { [int]($_.Directory.Parent.Name -replace '\D', '') } | Select-Object -Last 1
    if (-not $newest) { Stop-Here "$Name is missing. Install PostgreSQL, then run this again." }
    return $newest.FullName
}

function Test-Whole([string]$File, [string]$Sha256) {
    if (-not (Test-Path -LiteralPath $File)) { Stop-Here "$File is missing. Use another copy of this backup." }
    if ((Get-FileHash -Algorithm SHA256 -LiteralPath $File).Hash -ne $Sha256) {
        Stop-Here "$File is damaged. Use another copy of this backup."
    }
}

# age asks for the passphrase, or takes the secret key from the file that AGE_KEY names.
function Open-Sealed([string]$File) {
    $age = Get-Command age -ErrorAction SilentlyContinue
    if (-not $age) { Stop-Here 'age is missing. Install it from https://age-encryption.org, then run this again.' }
    $opened = Join-Path ([IO.Path]::GetTempPath()) ([IO.Path]::GetRandomFileName())
    if ($env:AGE_KEY) { & $age.Source --decrypt --identity $env:AGE_KEY --output $opened $File }
    else { & $age.Source --decrypt --output $opened $File }
    if ($LASTEXITCODE -ne 0) { Stop-Here "$File could not be opened. Is it the right passphrase or key?" }
    return $opened
}

# The files are gzip of many members. Windows PowerShell reads only the first one, PowerShell 7 all of them: the size tells.
function Expand-Whole([string]$File, [string]$Target, [long]$Bytes) {
    $sealed = $File.EndsWith('.age')
    $packed = if ($sealed) { Open-Sealed $File } else { Join-Path $PSScriptRoot $File }
    $from = [IO.File]::OpenRead($packed)
    $to = [IO.File]::Create($Target)
    try {
        $gzip = New-Object IO.Compression.GZipStream($from, [IO.Compression.CompressionMode]::Decompress)
        $gzip.CopyTo($to)
    } finally { $to.Dispose(); $from.Dispose(); if ($sealed) { Remove-Item -LiteralPath $packed } }
    if ((Get-Item -LiteralPath $Target).Length -ne $Bytes) {
        Remove-Item -LiteralPath $Target
        Stop-Here 'this PowerShell is too old to unpack the backup. Install PowerShell 7 and run: pwsh restore.ps1'
    }
}

function Restore-Database([string]$Store, [string]$File, [string]$Sha256, [long]$Bytes, [string]$Database, [string]$Encoding, [string]$Rows) {
    $createdb = Find-Tool createdb; $pgRestore = Find-Tool pg_restore; $psql = Find-Tool psql
    Test-Whole $File $Sha256
    Write-Host "Restoring $Store into the new database $Database ..."
    $unpacked = Join-Path ([IO.Path]::GetTempPath()) ([IO.Path]::GetRandomFileName())
    try {
        Expand-Whole $File $unpacked $Bytes
        & $createdb --template=template0 "--encoding=$Encoding" -- $Database
        if ($LASTEXITCODE -ne 0) { Stop-Here "the database $Database could not be created. If there is one of that name already, rename it first." }
        & $pgRestore --exit-on-error --no-owner --no-privileges "--dbname=$Database" $unpacked
        if ($LASTEXITCODE -ne 0) { Stop-Here "$File could not be restored. What is in $Database is not whole; drop that database." }
    } finally { if (Test-Path -LiteralPath $unpacked) { Remove-Item -LiteralPath $unpacked } }
    $differs = $Rows | & $psql -X -q -A -t -v ON_ERROR_STOP=1 "--dbname=$Database"
    if ($LASTEXITCODE -ne 0) { Stop-Here "the rows in $Database could not be counted." }
    if ($differs) { Stop-Here "these tables in $Database do not have the rows that were backed up: $differs" }
    Write-Host '  restored, and every table has the rows that were backed up.'
}

function Restore-File([string]$Store, [string]$File, [string]$Sha256, [long]$Bytes) {
    $target = Join-Path $Into "$Store.sqlite"
    if (Test-Path -LiteralPath $target) { Stop-Here "$target is there already. Move it away, or name another folder." }
    Test-Whole $File $Sha256
    Expand-Whole $File $target $Bytes
}

# Windows has tar.exe since 2018, which reads gzip of many members.
function Restore-Folder([string]$Store, [string]$File, [string]$Sha256) {
    $target = Join-Path $Into "${Store}_restored"
    if (Test-Path -LiteralPath $target) { Stop-Here "$target is there already. Move it away, or name another folder." }
    Test-Whole $File $Sha256
    New-Item -ItemType Directory -Path $target | Out-Null
    $sealed = $File.EndsWith('.age')
    $packed = if ($sealed) { Open-Sealed $File } else { $File }
    & tar.exe -xzf $packed -C $target
    $ended = $LASTEXITCODE
    if ($sealed) { Remove-Item -LiteralPath $packed }
    if ($ended -ne 0) { Stop-Here "$File could not be restored." }
}

# The roles of the old server, which are for people: nothing runs them unseen.
function Show-Roles($file) {
    Write-Host "The roles that the old server had are in $file, without passwords. Look at it, and run what of it you want:"
    Write-Host "  psql -X -f $file postgres"
}
