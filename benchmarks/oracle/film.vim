" The settings under which a film is true. Use: vim -u film.vim -i NONE -N -n -b FILE, with TERM=linux.
" An editor started with them draws, cell for cell, what pipeline.terminal draws.

set noloadplugins
filetype off
syntax off

" Text: bytes stay as they are
set encoding=utf-8 termencoding=utf-8 fileencodings= ambiwidth=single emoji
set nomodeline noswapfile nobackup nowritebackup noundofile nofixendofline
set nowrap startofline noautoindent noexpandtab tabstop=8 textwidth=0 wrapmargin=0 formatoptions=
set backspace=indent,eol,start noarabicshape termbidi

" Scrolling: the smallest possible step
set scrolloff=0 scrolljump=1 sidescroll=0 sidescrolloff=0 display=

" How what is not plain text is drawn: a newer vim's defaults are others (SpecialKey is plain there)
highlight SpecialKey term=bold
highlight NonText term=bold
highlight! link EndOfBuffer NonText
highlight ModeMsg term=bold
highlight StatusLine term=bold,reverse
set isprint=@,161-255 fillchars=vert:\|,fold:-,eob:~ nolist nonumber norelativenumber signcolumn=auto foldcolumn=0
set showtabline=1 nocursorline nocursorcolumn colorcolumn= conceallevel=0 nospell nolazyredraw nofoldenable

" What is shown besides the text
set laststatus=2 statusline=%<%f\ %m%=%l/%L showmode showcmd noruler cmdheight=1
set shortmess=aoOtTIFWcCqS report=99999 nomore belloff=all noshowmatch matchpairs= nohlsearch notitle

" Input: nothing waits for a clock
set noesckeys notimeout nottimeout mouse=

" Terminal: no colours, no other screen, no questions to it, no title, no cursor shapes, no bracketed paste
set t_Co=0 t_ti= t_te= t_TI= t_TE= t_RV= t_u7= t_RB= t_RF= t_BE= t_BD= t_ks= t_ke= t_RS= t_SH=
set t_EI= t_SI= t_SR= t_vb= t_fe= t_fd= t_ut=

" Options that vim 9.0 does not have yet
silent! set nosmoothscroll showcmdloc=last splitkeep=cursor messagesopt=hit-enter,history:500 showtabpanel=0 keyprotocol=
silent! set notermsync t_BS= t_ES=
