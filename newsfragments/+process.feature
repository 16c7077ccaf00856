Reload (HUP) that lets requests under way finish, graceful end (QUIT), reopening of logs (USR1), a locked pid file.
